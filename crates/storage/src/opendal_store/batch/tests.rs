//! Deletes against a server of a few lines that speaks as much of S3 as they need.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use crate::behaviour::path;
use crate::{OpendalStorage, Storage, StorageError};

/// What the server was asked for: the method, and how many keys.
type Asked = Arc<Mutex<Vec<(String, usize)>>>;

/// Answers one request; keys that contain a word are refused, and so is everything with `all`.
fn answer(stream: &TcpStream, refused: &str, asked: &Asked) -> std::io::Result<bool> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    if reader.read_line(&mut head)? == 0 {
        return Ok(false);
    }
    let (mut len_bytes, mut line) = (0, String::new());
    while reader.read_line(&mut line)? > 2 {
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            len_bytes = value.trim().parse().unwrap();
        }
        line.clear();
    }
    let mut body = vec![0; len_bytes];
    reader.read_exact(&mut body)?;
    let body = String::from_utf8(body).unwrap();
    let (method, _) = head.split_once(' ').unwrap();
    let keys: Vec<&str> =
        body.split("<Key>").skip(1).map(|rest| rest.split_once("</Key>").unwrap().0).collect();
    asked.lock().unwrap().push((method.to_owned(), keys.len().max(1)));
    let is_refused = |key: &str| refused == "all" || key.contains(refused);
    let denied = "<Code>AccessDenied</Code><Message>no</Message>";
    let (status, text) = match method {
        "POST" if refused != "all" => {
            let mut text = "<DeleteResult>".to_owned();
            for key in keys {
                text += &if is_refused(key) {
                    ["<Error><Key>", key, "</Key>", denied, "</Error>"].concat()
                } else {
                    ["<Deleted><Key>", key, "</Key></Deleted>"].concat()
                };
            }
            ("200 OK", text + "</DeleteResult>")
        }
        _ if is_refused(&head) => ("403 Forbidden", format!("<Error>{denied}</Error>")),
        _ => ("204 No Content", String::new()),
    };
    let len_bytes = text.len();
    write!(&*stream, "HTTP/1.1 {status}\r\nContent-Length: {len_bytes}\r\n\r\n{text}")?;
    Ok(true)
}

#[expect(clippy::disallowed_methods, reason = "a test server needs threads of its own")]
fn server(refused: &'static str) -> (OpendalStorage, Asked) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let asked = Asked::default();
    let heard = Arc::clone(&asked);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let heard = Arc::clone(&heard);
            std::thread::spawn(move || {
                let stream = stream.unwrap();
                while answer(&stream, refused, &heard).unwrap_or(false) {}
            });
        }
    });
    opendal::install_default();
    let service = opendal::services::S3::default()
        .bucket("bucket")
        .endpoint(&endpoint)
        .region("us-east-1")
        .access_key_id("name")
        .secret_access_key("word")
        .disable_config_load();
    let operator = opendal::Operator::new(service).unwrap();
    (OpendalStorage::new(operator, "s3://bucket"), asked)
}

fn files(count: usize) -> Vec<alluvium_core::StoragePath> {
    (0..count).map(|n| path(&format!("shared/{n}-"))).collect()
}

#[test]
fn a_thousand_files_go_with_one_request() {
    let (storage, asked) = server("nothing");
    assert_eq!(storage.delete_batch_len(), 1_000);
    let results = storage.delete_many(&files(2_500));
    assert!(results.len() == 2_500 && results.iter().all(Result::is_ok));
    let asked = asked.lock().unwrap().clone();
    assert_eq!(asked, [1_000, 1_000, 500].map(|keys| ("POST".to_owned(), keys)));
}

#[test]
fn a_key_that_is_refused_fails_alone_and_is_named() {
    let (storage, _) = server("/7-");
    let results = storage.delete_many(&files(20));
    assert_eq!(results.len(), 20);
    for (n, result) in results.into_iter().enumerate() {
        match result {
            Ok(()) => assert_ne!(n, 7),
            Err(error @ StorageError::Remote { .. }) => {
                assert_eq!(n, 7, "{error}");
                assert!(error.to_string().contains("s3://bucket/shared/7-"), "{error}");
            }
            Err(error) => panic!("{n}: {error}"),
        }
    }
}

#[test]
fn a_service_that_refuses_everything_is_asked_a_few_times() {
    let (storage, asked) = server("all");
    let results = storage.delete_many(&files(900));
    assert!(results.len() == 900 && results.iter().all(Result::is_err));
    assert_eq!(asked.lock().unwrap().len(), 1 + super::CONCURRENT_DELETES);
}
