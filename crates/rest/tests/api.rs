//! A real job that answers over a real connection: every question, every refusal, and nonsense.
#![expect(clippy::unwrap_used, reason = "test code fails by panicking")]

mod job;

use std::net::SocketAddr;
use std::sync::atomic::Ordering;

use alluvium_coordinator::SavepointFormat;
use alluvium_rest::{Client, ClientError, Completed, MAX_BODY_BYTES, RestServer, ServerError};
use alluvium_runtime::{JobError, Stop, read_savepoint};
use hyper::Method;
use job::{Asked, World, config, raw, status_of};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

async fn post(asked: &Asked, tail: &str, body: &Value) -> Result<Value, ClientError> {
    let path = format!("/jobs/tally/{tail}");
    asked.client.request(Method::POST, &path, body.to_string().into_bytes()).await
}

#[test]
fn a_job_tells_what_it_is_and_how_it_is_configured() {
    let world = World::new();
    let outcome = world.serve(config(), async |asked: Asked| {
        let jobs = asked.client.request(Method::GET, "/v1/jobs", Vec::new()).await.unwrap();
        assert_eq!(jobs, json!({"jobs": [{"id": "tally", "status": "RUNNING"}]}));
        let details = asked.client.get("").await.unwrap();
        assert_eq!(details["jid"], "tally");
        assert_eq!(details["state"], "RUNNING");
        assert!(details["now"].as_u64() >= details["start-time"].as_u64());
        let vertices = details["vertices"].as_array().unwrap();
        let names: Vec<_> = vertices.iter().map(|it| it["id"].as_str().unwrap()).collect();
        assert_eq!(names, ["numbers", "tally", "nowhere"]);
        assert_eq!(vertices[0]["parallelism"], 2);
        let config = asked.client.get("/checkpoints/config").await.unwrap();
        let root = config["checkpoint_storage"].as_str().unwrap();
        assert!(root.ends_with("/chk/tally"), "{root}");
        let expected = json!({
            "mode": "exactly_once",
            "interval": 9_223_372_036_854_775_807_u64,
            "timeout": 600_000,
            "min_pause": 0,
            "max_concurrent": 1,
            "externalization": {"enabled": true, "delete_on_cancellation": false},
            "state_backend": "heap",
            "checkpoint_storage": root,
            "unaligned_checkpoints": false,
            "tolerable_failed_checkpoints": 0,
        });
        assert_eq!(config, expected);
        asked.client.cancel().await.unwrap();
        assert_eq!(asked.client.wait_for_the_end().await.unwrap().unwrap(), "CANCELED");
    });
    assert!(matches!(outcome, Err(JobError::Cancelled)));
}

#[test]
fn a_graph_tells_its_stages_and_how_wide_each_is() {
    let world = World::new();
    let outcome = world.serve_graph(config(), async |asked: Asked| {
        let details = asked.client.get("").await.unwrap();
        let vertices = details["vertices"].as_array().unwrap().iter();
        let stages: Vec<_> =
            vertices.map(|it| (it["id"].as_str().unwrap(), it["parallelism"].as_u64())).collect();
        assert_eq!(stages, [("numbers", Some(1)), ("tally", Some(3)), ("nowhere", Some(3))]);
        asked.read(500).await;
        let number = asked.control.checkpoint(false).await.unwrap().get();
        let tail = format!("/checkpoints/details/{number}");
        let tasks = asked.client.get(&tail).await.unwrap()["tasks"].clone();
        for (name, width) in stages {
            assert_eq!(tasks[name]["num_subtasks"].as_u64(), width, "{name}");
            assert_eq!(tasks[name]["num_acknowledged_subtasks"].as_u64(), width, "{name}");
        }
        let tail = format!("{tail}/subtasks/tally");
        let subtasks = asked.client.get(&tail).await.unwrap();
        assert_eq!(subtasks["subtasks"].as_array().unwrap().len(), 3);
        asked.client.cancel().await.unwrap();
    });
    assert!(matches!(outcome, Err(JobError::Cancelled)));
}

#[test]
fn checkpoints_and_savepoints_are_taken_and_told_of() {
    let world = World::new();
    let target = world.path("sp");
    let outcome = world.serve(config(), async |asked: Asked| {
        let client = &asked.client;
        asked.read(500).await;
        let before = client.get("/checkpoints").await.unwrap();
        assert_eq!(before["counts"]["total"], 0);
        assert_eq!(before["latest"]["completed"], Value::Null);

        let trigger = client.checkpoint(true).await.unwrap();
        assert_eq!(client.wait(&trigger).await.unwrap(), Completed::Checkpoint(1));
        let trigger = client.savepoint(&target, SavepointFormat::Native).await.unwrap();
        let Completed::Savepoint(location) = client.wait(&trigger).await.unwrap() else {
            panic!("a savepoint was triggered")
        };
        assert!(location.starts_with(&format!("file:{target}/savepoint-tally-")), "{location}");

        let all = client.get("/checkpoints").await.unwrap();
        let counts = json!(
            {"restored": 0, "total": 2, "in_progress": 0, "completed": 2, "failed": 0}
        );
        assert_eq!(all["counts"], counts);
        let history = all["history"].as_array().unwrap();
        let ids: Vec<_> = history.iter().map(|it| it["id"].as_u64().unwrap()).collect();
        assert_eq!(ids, [2, 1], "the newest comes first");
        let [savepoint, checkpoint] = &history[..] else { panic!("{history:?}") };
        assert_eq!(&all["latest"]["completed"], checkpoint);
        assert_eq!(&all["latest"]["savepoint"], savepoint);
        assert_eq!(savepoint["is_savepoint"], true);
        assert_eq!(savepoint["savepointFormat"], "NATIVE");
        assert_eq!(savepoint["external_path"], location);
        assert_eq!(checkpoint["checkpoint_type"], "CHECKPOINT");
        assert_eq!(checkpoint["status"], "COMPLETED");
        assert!(checkpoint["external_path"].as_str().unwrap().ends_with("/chk/tally/chk-1"));
        assert_eq!(checkpoint["num_acknowledged_subtasks"], 6);
        assert!(checkpoint["checkpointed_size"].as_u64().unwrap() > 0);
        assert!(all["summary"]["state_size"]["max"].as_u64().unwrap() > 0);

        let details = client.get("/checkpoints/details/1").await.unwrap();
        let tally = &details["tasks"]["tally"];
        assert_eq!((&tally["num_subtasks"], &tally["id"]), (&json!(2), &json!(1)));
        let sizes = ["numbers", "tally", "nowhere"]
            .map(|it| details["tasks"][it]["checkpointed_size"].as_u64().unwrap());
        assert_eq!(sizes.iter().sum::<u64>(), details["checkpointed_size"].as_u64().unwrap());
        let subtasks = client.get("/checkpoints/details/1/subtasks/tally").await.unwrap();
        let listed = subtasks["subtasks"].as_array().unwrap();
        assert_eq!(listed.len(), 2);
        for (index, subtask) in listed.iter().enumerate() {
            assert_eq!(
                (&subtask["index"], &subtask["status"]),
                (&json!(index), &json!("completed"))
            );
            assert!(subtask["checkpoint"]["async"].is_u64());
            assert!(subtask["alignment"]["duration"].is_u64());
            assert_eq!(subtask["unaligned_checkpoint"], false);
        }
        let sum: u64 = listed.iter().map(|it| it["state_size"].as_u64().unwrap()).sum();
        assert_eq!(tally["state_size"], sum);
        assert!(subtasks["summary"]["checkpoint_duration"]["sync"]["p99"].is_u64());

        let trigger = client.stop(&target, SavepointFormat::Canonical, Stop::Drain).await.unwrap();
        let stopped = client.wait(&trigger).await.unwrap();
        assert_eq!(client.wait_for_the_end().await.unwrap().unwrap(), "FINISHED");
        stopped
    });
    let (outcome, stopped) = outcome.unwrap();
    let location = outcome.savepoint.unwrap().location;
    assert_eq!(stopped, Completed::Savepoint(location.clone()));
    read_savepoint(&*alluvium_storage::open_existing(&location).unwrap()).unwrap();
}

#[test]
fn statistics_survive_a_failed_attempt() {
    let world = World::new();
    let outcome = world.serve(config(), async |asked: Asked| {
        let client = &asked.client;
        let trigger = client.checkpoint(false).await.unwrap();
        client.wait(&trigger).await.unwrap();
        asked.fails.store(true, Ordering::SeqCst);
        let mut all = client.get("/checkpoints").await.unwrap();
        while all["counts"]["restored"] != 1 {
            all = client.get("/checkpoints").await.unwrap();
        }
        assert_eq!(all["latest"]["restored"]["id"], 1);
        assert!(all["latest"]["restored"]["restore_timestamp"].as_u64().unwrap() > 0);
        assert_eq!((&all["counts"]["completed"], &all["history"][0]["id"]), (&json!(1), &json!(1)));
        let trigger = client.checkpoint(false).await.unwrap();
        assert_eq!(client.wait(&trigger).await.unwrap(), Completed::Checkpoint(2));
        assert_eq!(client.get("/checkpoints").await.unwrap()["counts"]["completed"], 2);
        asked.control.cancel();
    });
    assert!(matches!(outcome, Err(JobError::Cancelled)));
}

#[test]
fn a_trigger_that_fails_says_why_and_one_of_a_known_id_triggers_nothing() {
    let world = World::new();
    // The folder itself can be there, but nothing with a longer name.
    let mut deep = world.path("deep");
    while deep.len() < 4_060 {
        let part = "d".repeat((4_060 - deep.len()).clamp(2, 200) - 1);
        deep = format!("{deep}/{part}");
    }
    world
        .serve(config(), async |asked: Asked| {
            let client = &asked.client;
            let trigger = client.savepoint(&deep, SavepointFormat::Canonical).await.unwrap();
            let Err(ClientError::Failed { name, reason }) = client.wait(&trigger).await else {
                panic!("the savepoint cannot be written")
            };
            assert_eq!(name, "IO_EXCEPTION");
            assert!(reason.contains("no savepoint can be written to"), "{reason}");

            let id = "00112233445566778899aabbccddeeff";
            let body = json!({"checkpointType": "CONFIGURED", "triggerId": id.to_uppercase()});
            for _ in 0..2 {
                assert_eq!(post(&asked, "checkpoints", &body).await.unwrap()["request-id"], id);
            }
            let path = format!("/checkpoints/{id}");
            while client.get(&path).await.unwrap()["status"]["id"] == "IN_PROGRESS" {}
            let ended = client.get(&path).await.unwrap();
            assert_eq!(
                ended,
                json!({"status": {"id": "COMPLETED"}, "operation": {"checkpointId": 1}})
            );
            assert_eq!(client.get("/checkpoints").await.unwrap()["counts"]["total"], 1);
            let refused = client.get(&format!("/savepoints/{id}")).await;
            assert!(
                matches!(refused, Err(ClientError::Refused { status: 404, .. })),
                "{refused:?}"
            );
            asked.control.cancel();
        })
        .unwrap_err();
}

#[test]
fn what_makes_no_sense_is_refused_and_named() {
    let world = World::new();
    std::fs::write(world.path("file"), "no folder").unwrap();
    let file = json!({"target-directory": world.path("file/below")}).to_string();
    let large = format!("{{\"checkpointType\": \"{}\"}}", "F".repeat(MAX_BODY_BYTES));
    let larger = "x".repeat(40 * MAX_BODY_BYTES);
    let id = "00000000000000000000000000000000";
    let cases = [
        ("GET", "/", "", 404, "nothing is at /"),
        ("GET", "/jobs/other", "", 404, "no job other"),
        ("GET", "/jobs/tally/", "", 200, ""),
        ("GET", "/jobs/tally/metrics", "", 404, "/jobs/tally/metrics"),
        ("DELETE", "/jobs/tally", "", 405, "only GET, PATCH"),
        ("PUT", "/jobs/tally/stop", "", 405, "only POST"),
        ("GET", "/jobs/tally/savepoints", "", 405, "only POST"),
        ("GET", "/jobs/tally/checkpoints/details/9", "", 404, "checkpoint 9"),
        ("GET", "/jobs/tally/checkpoints/details/x", "", 400, "\"x\""),
        ("GET", "/jobs/tally/checkpoints/details/-1", "", 400, "\"-1\""),
        ("GET", "/jobs/tally/checkpoints/details/1/subtasks/else", "", 404, "no operator else"),
        ("GET", &format!("/jobs/tally/checkpoints/{id}"), "", 404, id),
        ("GET", &format!("/jobs/tally/savepoints/{id}"), "", 404, id),
        ("PATCH", "/jobs/tally?mode=stop", "", 400, "mode=stop"),
        ("PATCH", "/jobs/tally", "", 400, "mode=cancel is wanted"),
        ("POST", "/jobs/other/checkpoints", "{}", 404, "no job other"),
        ("POST", "/jobs/tally/checkpoints", "{", 400, "the body"),
        ("POST", "/jobs/tally/checkpoints", "{} {}", 400, "trailing"),
        ("POST", "/jobs/tally/checkpoints", "[\"FULL\"]", 400, "not a JSON object"),
        ("POST", "/jobs/tally/checkpoints", "\u{0}\u{ff}", 400, "not a JSON object"),
        ("POST", "/jobs/tally/checkpoints", r#"{"checkpointType": 1}"#, 400, "checkpointType"),
        ("POST", "/jobs/tally/checkpoints", r#"{"checkpointType": "HALF"}"#, 400, "HALF"),
        ("POST", "/jobs/tally/checkpoints", r#"{"checkpointTyp": "FULL"}"#, 400, "checkpointTyp"),
        ("POST", "/jobs/tally/checkpoints", r#"{"triggerId": "7"}"#, 400, "triggerId \"7\""),
        ("POST", "/jobs/tally/checkpoints", &large, 413, "65536"),
        ("POST", "/jobs/tally/checkpoints", &larger, 413, "65536"),
        ("POST", "/jobs/tally/savepoints", "", 400, "target-directory is missing"),
        ("POST", "/jobs/tally/savepoints", r#"{"target-directory": 7}"#, 400, "target-directory: "),
        ("POST", "/jobs/tally/savepoints", r#"{"target-directory": "ftp://x"}"#, 400, "ftp://x"),
        ("POST", "/jobs/tally/savepoints", r#"{"targetDirectory": "a"}"#, 400, "targetDirectory"),
        ("POST", "/jobs/tally/savepoints", &file, 400, "file/below"),
        ("POST", "/jobs/tally/savepoints", r#"{"cancel-job": true}"#, 400, "cancel-job"),
        ("POST", "/jobs/tally/savepoints", r#"{"formatType": "ZIP"}"#, 400, "formatType: "),
        ("POST", "/jobs/tally/stop", "{}", 400, "targetDirectory is missing"),
        ("POST", "/jobs/tally/stop", r#"{"drain": "yes"}"#, 400, "drain: "),
        ("POST", "/jobs/tally/stop", r#"{"target-directory": "a"}"#, 400, "target-directory"),
        ("POST", "/jobs/tally/stop", r#"{"targetDirectory": ""}"#, 400, "targetDirectory"),
    ];
    world.serve(config(), async |asked: Asked| {
        let trigger = asked.client.checkpoint(false).await.unwrap();
        asked.client.wait(&trigger).await.unwrap();
        for (method, path, body, status, names) in cases {
            let request = format!(
                "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
            let answer = raw(asked.address, request.as_bytes()).await;
            assert_eq!(status_of(&answer), status, "{method} {path}: {answer}");
            let body = answer.split_once("\r\n\r\n").unwrap().1;
            let body: Value = serde_json::from_str(body).unwrap();
            if status >= 400 {
                let error = body["errors"][0].as_str().unwrap();
                assert!(error.contains(names), "{method} {path}: {error}");
            }
        }
        let counts = asked.client.get("/checkpoints").await.unwrap()["counts"]["total"].clone();
        assert_eq!(counts, 1, "a refused request changes nothing");
        asked.control.cancel();
    })
    .unwrap_err();
}

#[test]
fn web_pages_are_not_answered() {
    let world = World::new();
    world
        .serve(config(), async |asked: Asked| {
            let port = asked.address.port();
            let get = |headers: &str| format!("GET /jobs HTTP/1.1\r\n{headers}\r\n\r\n");
            let cases = [
                (get("Host: evil.example"), 403),
                (get(&format!("Host: evil.example:{port}")), 403),
                (get("Host: localhost\r\nOrigin: http://evil.example"), 403),
                (get("Host: localhost\r\nOrigin: null"), 403),
                (get(&format!("Host: LOCALHOST:{port}")), 200),
                (get(&format!("Host: 127.0.0.1:{port}")), 200),
                (get("Host: [::1]:80"), 200),
            ];
            for (request, status) in cases {
                let answer = raw(asked.address, request.as_bytes()).await;
                assert_eq!(status_of(&answer), status, "{request}");
            }
            asked.control.cancel();
        })
        .unwrap_err();
}

#[test]
fn nonsense_always_gets_a_status() {
    let world = World::new();
    let cases = (
        prop_oneof!["GET", "POST", "PATCH", "PUT", "[A-Z]{1,8}"],
        prop_oneof![
            "/[!-~]{0,60}",
            "/jobs/tally/[!-~]{0,40}",
            "/jobs/tally/(checkpoints|savepoints|stop)(/[!-~]{0,30})?",
            "/jobs/tally/checkpoints/details/[!-~]{0,30}",
        ],
        prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..300),
            r#"\{"(checkpointType|triggerId|drain|x)": ?("[ -~]{0,9}"|[0-9]{1,30}|null|\{\}|\[)"#
                .prop_map(String::into_bytes),
        ],
    );
    world
        .serve(config(), async |asked: Asked| {
            let address = asked.address;
            tokio::task::spawn_blocking(move || {
                let config =
                    ProptestConfig { cases: 400, failure_persistence: None, ..Default::default() };
                let runtime =
                    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                TestRunner::new(config).run(&cases, |(method, path, body)| {
                    let head = format!(
                        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n",
                        body.len()
                    );
                    let request = [head.as_bytes(), &body].concat();
                    let answer = runtime.block_on(raw(address, &request));
                    let status = status_of(&answer);
                    prop_assert!((200..500).contains(&status), "{method} {path}: {answer}");
                    Ok(())
                })
            })
            .await
            .unwrap()
            .unwrap();
            assert_eq!(asked.client.get("").await.unwrap()["state"], "RUNNING");
            asked.control.cancel();
        })
        .unwrap_err();
}

#[test]
fn a_taken_address_and_a_foreign_url_are_errors() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let server = RestServer::bind(any).await.unwrap();
        let ServerError::Bind { address, .. } =
            RestServer::bind(server.address()).await.unwrap_err()
        else {
            panic!("it is taken")
        };
        assert_eq!(address, server.address());
        drop(server);
        let client = Client::new(&address.to_string()).unwrap();
        let nobody = client.get("").await.unwrap_err();
        assert!(matches!(nobody, ClientError::Unreachable { .. }), "{nobody}");
    });
    for url in
        ["", "localhost", "https://localhost:1", "http://a:1/x", "a:b", "http://a:1/jobs/b/c"]
    {
        assert!(matches!(Client::new(url), Err(ClientError::Url { .. })), "{url}");
    }
}
