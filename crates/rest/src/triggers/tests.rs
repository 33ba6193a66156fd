use super::*;

const SALT: u64 = 7;

const DONE: Result<Progress, ControlError> = Ok(Progress::Checkpoint(CheckpointId::FIRST));

#[test]
fn ended_triggers_are_forgotten_before_too_many_are_remembered_and_others_never() {
    let triggers = Triggers::default();
    let begin = || triggers.begin(Kind::Checkpoint, None, SALT);
    let (first, _) = begin().unwrap();
    let (second, _) = begin().unwrap();
    for _ in 2..MOST {
        assert!(begin().unwrap().1);
    }
    let refused = begin().unwrap_err();
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    triggers.end(Kind::Checkpoint, &second, DONE);
    assert!(begin().unwrap().1);
    assert!(triggers.tell(Kind::Checkpoint, &second).is_none());
    assert!(matches!(triggers.tell(Kind::Checkpoint, &first), Some(Progress::UnderWay)));
    begin().unwrap_err();
}

#[test]
fn a_chosen_id_is_taken_once_for_each_kind() {
    let triggers = Triggers::default();
    let begin = |kind| triggers.begin(kind, Some("ab".to_owned()), SALT).unwrap().1;
    assert!(begin(Kind::Checkpoint));
    assert!(!begin(Kind::Checkpoint));
    assert!(begin(Kind::Savepoint));
    triggers.end(Kind::Savepoint, "ab", Err(ControlError::Over));
    let told = triggers.tell(Kind::Savepoint, "AB");
    let Some(Progress::Failed { name, .. }) = told else { panic!("{told:?}") };
    assert_eq!(name, "CHECKPOINT_COORDINATOR_SHUTDOWN");
    assert!(matches!(triggers.tell(Kind::Checkpoint, "ab"), Some(Progress::UnderWay)));
}

#[tokio::test]
async fn everybody_hears_of_the_end_before_all_is_told() {
    let triggers = Triggers::default();
    triggers.all_told().await;
    let (id, _) = triggers.begin(Kind::Savepoint, None, SALT).unwrap();
    triggers.owe_end();
    let mut all_told = Box::pin(triggers.all_told());
    let mut is_told = async || {
        let soon = std::time::Duration::from_millis(5);
        tokio::time::timeout(soon, &mut all_told).await.is_ok()
    };
    assert!(!is_told().await);
    triggers.tell(Kind::Savepoint, &id);
    assert!(!is_told().await, "it is under way");
    triggers.end(Kind::Savepoint, &id, DONE);
    assert!(!is_told().await, "nobody has read its end");
    triggers.tell(Kind::Savepoint, &id);
    assert!(!is_told().await, "nobody has read the end of the job");
    triggers.tell_end();
    assert!(is_told().await);
}
