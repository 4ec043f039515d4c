//! Faults on the way, and what is in the bucket afterwards: the right object or none, and no upload left over.

use std::io::{Seek, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use aws_sdk_s3::config::{Credentials, ProvideCredentials, SharedCredentialsProvider};
use cassport::store::s3::{Encryption, RetryPolicy, S3Options, S3Store};
use cassport::store::{Checksum, PutOutcome, ReplaceOutcome, Store};
use cassport::{Error, ErrorClass};

use super::proxy::{Fault, Proxy, Rule, rule};
use super::servers::{self, ACCESS_KEY, Bucket, Kind, SECRET_KEY, Server, noise, test_options};

const MIB: usize = 1 << 20;

/// The requests of an object in parts, and of a small one.
const STAGES: [(&str, &str); 5] = [
    ("POST", "?uploads"),
    ("PUT", "partNumber=1&"),
    ("PUT", "partNumber=3&"),
    ("POST", "uploadId="),
    ("PUT", "/p/small"),
];

/// A bucket behind a proxy.
struct Scene {
    bucket: Bucket,
    proxy: Proxy,
    store: S3Store,
}

impl Scene {
    fn new(server: &Server, rules: Vec<Rule>) -> Self {
        Self::with(server, rules, &test_options())
    }

    fn with(server: &Server, rules: Vec<Rule>, options: &S3Options) -> Self {
        let bucket = server.bucket();
        let proxy = Proxy::start(server.address, rules);
        let store = bucket.store_at(proxy.address, "p", options);
        Self { bucket, proxy, store }
    }

    fn write(&self, name: &str, bytes: &[u8]) -> cassport::Result<()> {
        let mut writer = self.store.create(name)?;
        for piece in bytes.chunks(MIB) {
            writer.write_all(piece)?;
        }
        assert_eq!(writer.finish()?, Checksum::of(bytes));
        Ok(())
    }

    /// Writes what all stages are of.
    fn write_both(&self) -> cassport::Result<()> {
        self.write("large", &noise(11 * MIB, 1))?;
        self.write("small", b"small")
    }

    /// Checks that the bucket holds exactly these objects, whole, and nothing else.
    fn holds(&self, expected: &[(&str, &[u8])], what: &str) {
        let found = self.bucket.objects();
        let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
        let expected_names: Vec<String> =
            expected.iter().map(|(name, _)| format!("p/{name}")).collect();
        assert_eq!(names, expected_names, "{what}");
        for ((name, bytes), (_, expected)) in found.iter().zip(expected) {
            assert!(bytes == expected, "{what}: {name} differs");
        }
        // Of s3s-fs all tests see the same place.
        if self.bucket.server.kind == Kind::Moto {
            assert_eq!(self.bucket.dangling_uploads(), 0, "{what}: an upload is left over");
        }
    }
}

fn full_text(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(&format!("; {cause}"));
        source = cause.source();
    }
    format!("{text}; hint: {}", error.hint().unwrap_or("none"))
}

#[test]
fn what_goes_wrong_in_passing_leaves_the_right_object() {
    for server in servers::all() {
        for fault in [
            Fault::Answer(500, "InternalError"),
            Fault::Answer(503, "SlowDown"),
            Fault::Answer(503, ""),
            Fault::Answer(400, "RequestTimeout"),
            Fault::ResetBefore,
            Fault::LoseAnswer,
            Fault::DoneBut(500, "InternalError"),
            Fault::Slow(Duration::from_millis(30)),
            Fault::Truncate,
        ] {
            // Each fault once at every stage, and each stage's first answers only: one upload meets them all.
            let rules = STAGES.map(|(method, target)| rule(method, target, fault)).to_vec();
            let what = format!("{:?} {fault:?}", server.kind);
            let scene = Scene::new(&server, rules);
            scene.write_both().unwrap_or_else(|error| panic!("{what}: {}", full_text(&error)));
            assert_eq!(scene.proxy.faults(), STAGES.len(), "{what}");
            scene.holds(&[("large", &noise(11 * MIB, 1)), ("small", b"small")], &what);
            if !matches!(fault, Fault::Slow(_)) {
                assert_eq!(
                    scene.proxy.count("PUT", "partNumber=2&"),
                    1,
                    "{what}: a part goes alone"
                );
                assert_eq!(scene.proxy.count("PUT", "partNumber=3&"), 2, "{what}");
            }
        }
    }
}

#[test]
fn a_body_or_an_answer_that_stands_still_is_given_up_and_sent_again() {
    let options = S3Options {
        retry: RetryPolicy {
            timeout: Duration::from_millis(1500),
            least_rate: 20 << 20,
            stall: Duration::from_secs(1),
            ..test_options().retry
        },
        ..test_options()
    };
    for server in servers::all() {
        for fault in [Fault::Stall, Fault::StallBody, Fault::StallAnswer] {
            let what = format!("{:?} {fault:?}", server.kind);
            let rules = vec![rule("PUT", "partNumber=1&", fault), rule("GET", "/p/large", fault)];
            let scene = Scene::with(&server, rules, &options);
            let start = Instant::now();
            scene.write("large", &noise(6 * MIB, 1)).unwrap();
            assert!(scene.store.get("large").unwrap().unwrap() == noise(6 * MIB, 1), "{what}");
            assert!(start.elapsed() < Duration::from_secs(20), "{what}: {:?}", start.elapsed());
            assert_eq!(scene.proxy.faults(), 2, "{what}");
            scene.holds(&[("large", &noise(6 * MIB, 1))], &what);
        }
    }
}

#[test]
fn an_answer_that_breaks_off_is_read_again() {
    for server in servers::all() {
        for fault in [Fault::Truncate, Fault::ResetBefore, Fault::Answer(500, "InternalError")] {
            let rules = vec![
                rule("GET", "/p/a", fault).times(2),
                rule("GET", "list-type=2", fault).times(2),
                rule("HEAD", "/p/a", fault).times(2),
                rule("DELETE", "/p/a", fault).times(2),
            ];
            let scene = Scene::new(&server, rules);
            let bytes = noise(300_000, 7);
            scene.store.put("a", &bytes).unwrap();
            assert!(scene.store.get("a").unwrap().unwrap() == bytes, "{fault:?}");
            assert_eq!(scene.store.list("").unwrap().len(), 1, "{fault:?}");
            let head = scene.store.head("a").unwrap().unwrap();
            assert_eq!(head, Checksum::of(&bytes), "{fault:?}");
            scene.store.delete("a").unwrap();
            scene.holds(&[], "deleted");
        }
    }
}

#[test]
fn what_will_not_go_away_stops_at_once_and_says_what_to_do() {
    let cases = [
        (Fault::Answer(403, "AccessDenied"), "allow s3:PutObject on arn:aws:s3:::bucket"),
        (Fault::Answer(404, "NoSuchBucket"), "make the bucket"),
        (Fault::Answer(403, "InvalidAccessKeyId"), "credentials are not valid"),
        (Fault::Answer(301, "PermanentRedirect"), "--s3-region"),
        (Fault::Answer(400, "KMS.NotFoundException"), "kms:GenerateDataKey"),
        (Fault::Answer(403, "RequestTimeTooSkewed"), "clock"),
    ];
    for server in servers::all() {
        for (fault, hint) in cases {
            for (method, target) in STAGES {
                let what = format!("{:?} {fault:?} {method} {target}", server.kind);
                let scene = Scene::new(&server, vec![rule(method, target, fault)]);
                let error = scene.write_both().unwrap_err();
                assert_eq!(error.class(), ErrorClass::Output, "{what}");
                let text = full_text(&error);
                let Fault::Answer(_, code) = fault else { unreachable!() };
                assert!(text.contains(code) && text.contains(hint), "{what}: {text}");
                assert!(text.contains("s3://bucket-"), "{what}: {text}");
                assert_eq!(scene.proxy.count(method, target), 1, "{what}: tried again");
                let large = noise(11 * MIB, 1);
                let done: &[(&str, &[u8])] =
                    if target == "/p/small" { &[("large", &large)] } else { &[] };
                scene.holds(done, &what);
            }
        }
    }
}

#[test]
fn what_is_tried_in_vain_is_given_up_with_its_cause() {
    for server in servers::all() {
        let always = rule("PUT", "partNumber=2&", Fault::Answer(503, "SlowDown")).times(1000);
        let scene = Scene::new(&server, vec![always]);
        let text = full_text(&scene.write_both().unwrap_err());
        assert!(text.contains("503 SlowDown: as the test wants (12 attempts)"), "{text}");
        assert_eq!(scene.proxy.count("PUT", "partNumber=2&"), 12);
        scene.holds(&[], "given up");
    }
    // Nobody is there: that is noticed sooner than an outage is given up.
    let options = S3Options {
        retry: RetryPolicy { first_attempts: 3, attempts: 1_000_000, ..test_options().retry },
        ..test_options()
    };
    let closed = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
    let bucket = servers::s3s_fs().bucket();
    let text = full_text(&bucket.store_at(closed, "p", &options).put("a", b"").unwrap_err());
    assert!(text.contains("(3 attempts)"), "{text}");
}

/// Gives other credentials each time, and counts.
#[derive(Debug)]
struct Renewed(Arc<AtomicU32>);

impl ProvideCredentials for Renewed {
    fn provide_credentials<'a>(
        &'a self,
    ) -> aws_credential_types::provider::future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let number = self.0.fetch_add(1, Ordering::Relaxed);
        // The first are good too, as far as the server knows: the proxy says that they have expired.
        let credentials =
            Credentials::new(ACCESS_KEY, SECRET_KEY, Some(format!("{number}")), None, "test");
        aws_credential_types::provider::future::ProvideCredentials::ready(Ok(credentials))
    }
}

#[test]
fn credentials_that_expired_are_looked_for_again() {
    for server in servers::all() {
        let expired = Fault::Answer(400, "ExpiredToken");
        let bucket = server.bucket();
        let rules = STAGES.map(|(method, target)| rule(method, target, expired)).to_vec();
        let proxy = Proxy::start(server.address, rules);
        let asked = Arc::new(AtomicU32::new(0));
        let options =
            S3Options { endpoint: Some(format!("http://{}", proxy.address)), ..test_options() };
        let credentials = SharedCredentialsProvider::new(Renewed(Arc::clone(&asked)));
        let store = S3Store::open_with(&bucket.location("p"), &options, Some(credentials)).unwrap();
        let scene = Scene { bucket, proxy, store };
        scene.write_both().unwrap();
        // Two parts may find it out at the same time and share the new ones.
        assert!((4..=6).contains(&asked.load(Ordering::Relaxed)), "{asked:?}");
        scene.holds(&[("large", &noise(11 * MIB, 1)), ("small", b"small")], "renewed");
        let scene = Scene::new(&server, vec![rule("PUT", "/p/small", expired).times(1000)]);
        let text = full_text(&scene.write_both().unwrap_err());
        assert!(text.contains("ExpiredToken") && text.contains("renew the credentials"), "{text}");
    }
}

#[test]
fn what_arrives_damaged_is_sent_again() {
    // moto does not look at what it is told of bodies, but at whole objects.
    let scene = Scene::new(
        &servers::s3s_fs(),
        vec![
            rule("PUT", "/p/small", Fault::DamageBody),
            rule("PUT", "partNumber=2&", Fault::DamageBody),
        ],
    );
    scene.write_both().unwrap();
    scene.holds(&[("large", &noise(11 * MIB, 1)), ("small", b"small")], "damaged once");
    let always = rule("PUT", "/p/small", Fault::DamageBody).times(1000);
    let scene = Scene::new(&servers::s3s_fs(), vec![always]);
    let error = scene.write("small", &noise(1000, 1)).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Output);
    scene.holds(&[], "always damaged");
    let Some(moto) = servers::moto() else { return };
    let scene = Scene::new(&moto, vec![rule("PUT", "partNumber=2&", Fault::DamageBody)]);
    let text = full_text(&scene.write_both().unwrap_err());
    assert!(text.contains("whole object: the store has"), "{text}");
    scene.holds(&[], "a part was damaged in the store");
}

#[test]
fn a_checksum_that_differs_is_an_error_and_the_object_is_removed() {
    let Some(moto) = servers::moto() else { return };
    let rules = vec![
        rule("PUT", "/p/small", Fault::WrongChecksum),
        rule("PUT", "partNumber=2&", Fault::WrongChecksum),
    ];
    let scene = Scene::new(&moto, rules);
    scene.write_both().unwrap();
    assert_eq!(scene.proxy.faults(), 2);
    scene.holds(&[("large", &noise(11 * MIB, 1)), ("small", b"small")], "once");
    // moto does not say it when it completes an upload, only when it is asked.
    for (method, target) in [("PUT", "/p/small"), ("PUT", "partNumber=2&"), ("HEAD", "/p/large")] {
        let always = rule(method, target, Fault::WrongChecksum).times(1000);
        let scene = Scene::new(&moto, vec![always]);
        let text = full_text(&scene.write_both().unwrap_err());
        assert!(text.contains("the store has AAAAAAAAAAA="), "{target}: {text}");
        let large = noise(11 * MIB, 1);
        let done: &[(&str, &[u8])] = if target == "/p/small" { &[("large", &large)] } else { &[] };
        scene.holds(done, target);
    }
    // Made only if absent: what is there is ours, and it is wrong.
    let always = rule("PUT", "/p/run.json", Fault::WrongChecksum).times(1000);
    let scene = Scene::new(&moto, vec![always]);
    assert!(scene.store.put_if_absent("run.json", b"ours").is_err());
    scene.holds(&[], "conditional");
}

#[test]
fn a_store_without_the_checksum_gets_another_one() {
    for server in servers::all() {
        // It does not say anything.
        let silent = vec![
            rule("PUT", "", Fault::NoChecksum).times(1000),
            rule("POST", "", Fault::NoChecksum).times(1000),
            rule("HEAD", "", Fault::NoChecksum).times(1000),
        ];
        // It refuses.
        let refusing = vec![
            rule("PUT", "/p/small", Fault::Answer(501, "NotImplemented")),
            rule("POST", "?uploads", Fault::Answer(501, "NotImplemented")),
        ];
        for rules in [silent, refusing] {
            let scene = Scene::new(&server, rules);
            scene.write_both().unwrap();
            assert_eq!(
                scene.store.put_if_absent("run.json", b"x").unwrap(),
                PutOutcome::Created(Checksum::of(b"x"))
            );
            let large = noise(11 * MIB, 1);
            scene.holds(&[("large", &large), ("run.json", b"x"), ("small", b"small")], "no CRC");
        }
    }
    // And the other one is looked at.
    let rules = vec![
        rule("PUT", "partNumber=1&", Fault::DamageBody),
        rule("PUT", "partNumber=3&", Fault::DamageBody),
    ];
    let scene = Scene::new(&servers::s3s_fs(), rules);
    scene.write_both().unwrap();
    assert_eq!(scene.proxy.count("PUT", "partNumber=1&"), 2);
    assert_eq!(scene.proxy.count("PUT", "partNumber=3&"), 2);
    scene.holds(&[("large", &noise(11 * MIB, 1)), ("small", b"small")], "damaged");
    // By us too, where the store looks at nothing.
    let Some(moto) = servers::moto() else { return };
    let damage = |method, target| rule(method, target, Fault::DamageBodyInSilence).times(2);
    let rules = vec![damage("PUT", "partNumber=2&"), damage("PUT", "/p/small")];
    let scene = Scene::new(&moto, rules);
    scene.write_both().unwrap();
    assert_eq!(scene.proxy.faults(), 4);
    scene.holds(&[("large", &noise(11 * MIB, 1)), ("small", b"small")], "damaged in silence");
}

#[test]
fn a_lost_answer_to_a_conditional_put_is_told_from_a_lost_race() {
    for server in servers::all() {
        for fault in [
            Fault::LoseAnswer,
            Fault::DoneBut(500, "InternalError"),
            Fault::DoneBut(503, "SlowDown"),
            Fault::ResetBefore,
            Fault::Answer(409, "ConditionalRequestConflict"),
        ] {
            let what = format!("{:?} {fault:?}", server.kind);
            let scene = Scene::new(&server, vec![rule("PUT", "/p/run.json", fault)]);
            let put = scene.store.put_if_absent("run.json", b"ours").unwrap();
            assert_eq!(put, PutOutcome::Created(Checksum::of(b"ours")), "{what}");
            scene.holds(&[("run.json", b"ours")], &what);
            let first = scene.store.get_versioned("run.json").unwrap().unwrap();

            let scene = Scene {
                proxy: Proxy::start(server.address, vec![rule("PUT", "/p/run.json", fault)]),
                ..scene
            };
            let store = scene.bucket.store_at(scene.proxy.address, "p", &test_options());
            let put = store.put_if_unchanged("run.json", b"next", &first.version).unwrap();
            let now = store.get_versioned("run.json").unwrap().unwrap();
            assert_eq!(put, ReplaceOutcome::Replaced(now.version), "{what}");
            scene.holds(&[("run.json", b"next")], &what);

            // Somebody else was there between the look and the put.
            let rules = vec![
                rule("HEAD", "/p/run.json", Fault::Answer(404, "")),
                rule("PUT", "/p/run.json", fault),
            ];
            let proxy = Proxy::start(server.address, rules);
            let store = scene.bucket.store_at(proxy.address, "p", &test_options());
            let put = store.put_if_absent("run.json", b"late");
            match fault {
                // What became of the first attempt is not known; the second meets what is there.
                Fault::LoseAnswer | Fault::DoneBut(..) | Fault::ResetBefore | Fault::Answer(..) => {
                    assert_eq!(put.unwrap(), PutOutcome::Exists, "{what}");
                }
                _ => unreachable!(),
            }
            scene.holds(&[("run.json", b"next")], &what);
        }
        let refused = rule("PUT", "/p/run.json", Fault::Answer(412, "PreconditionFailed"));
        let scene = Scene::new(&server, vec![refused]);
        let put = scene.store.put_if_absent("run.json", b"ours").unwrap();
        assert_eq!(put, PutOutcome::Exists);
        scene.holds(&[], "412");
    }
}

#[test]
fn a_file_in_parts_takes_nobodys_place() {
    let put = |scene: &Scene| {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&noise(11 * MIB, 1)).unwrap();
        file.rewind().unwrap();
        scene.store.put_file_if_absent("large", &mut file).unwrap()
    };
    for server in servers::all() {
        let large = noise(11 * MIB, 1);
        for fault in [Fault::LoseAnswer, Fault::DoneBut(500, "InternalError"), Fault::ResetBefore] {
            let what = format!("{:?} {fault:?}", server.kind);
            let scene = Scene::new(&server, vec![rule("POST", "uploadId=", fault)]);
            assert_eq!(put(&scene), PutOutcome::Created(Checksum::of(&large)), "{what}");
            scene.holds(&[("large", &large)], &what);
            assert_eq!(put(&scene), PutOutcome::Exists, "{what}");
        }
        // Somebody else was there between the look and the end of it.
        let taken = rule("POST", "uploadId=", Fault::Answer(412, "PreconditionFailed"));
        let scene = Scene::new(&server, vec![taken]);
        assert_eq!(put(&scene), PutOutcome::Exists);
        scene.holds(&[], "412");
    }
}

#[test]
fn a_store_that_ignores_or_refuses_conditions_is_noticed() {
    let Some(moto) = servers::moto() else { return };
    let ignores = rule("PUT", "", Fault::DropCondition).times(1000);
    let scene = Scene::new(&moto, vec![ignores]);
    let put = scene.store.put_if_absent("run.json", b"ours").unwrap();
    assert_eq!(put, PutOutcome::Created(Checksum::of(b"ours")));
    let put = scene.store.put_if_absent("run.json", b"late").unwrap();
    assert_eq!(put, PutOutcome::Exists, "it is looked for first");
    let found = scene.store.get_versioned("run.json").unwrap().unwrap();
    let error = scene.store.put_if_unchanged("run.json", b"x", &found.version).unwrap_err();
    assert!(full_text(&error).contains("does not do conditional writes"));
    scene.holds(&[("run.json", b"ours")], "ignored");
    let refuses = rule("PUT", "", Fault::Answer(501, "NotImplemented")).times(1000);
    let scene = Scene::new(&moto, vec![refuses]);
    let error = scene.store.put_if_absent("run.json", b"ours").unwrap_err();
    assert!(full_text(&error).contains("does not do conditional writes"));
    scene.holds(&[], "refused");
}

#[test]
fn faults_by_chance_change_nothing_in_the_end() {
    let faults = [
        Fault::Answer(500, "InternalError"),
        Fault::Answer(503, "SlowDown"),
        Fault::Answer(400, "ExpiredToken"),
        Fault::ResetBefore,
        Fault::LoseAnswer,
        Fault::DoneBut(500, "InternalError"),
        Fault::Truncate,
        Fault::Slow(Duration::from_millis(5)),
    ];
    let mut happened = 0;
    for server in servers::all() {
        for seed in 1..=8 {
            let bucket = server.bucket();
            let proxy = Proxy::by_chance(server.address, seed, 3, &faults);
            let store = bucket.store_at(proxy.address, "p", &test_options());
            let scene = Scene { bucket, proxy, store };
            let what = format!("{:?} seed {seed}", server.kind);
            let (a, b) = (noise(11 * MIB, seed), noise(7 * MIB, seed + 100));
            std::thread::scope(|scope| {
                let one = scope.spawn(|| scene.write("a", &a));
                let two = scope.spawn(|| scene.write("b", &b));
                for task in [one, two] {
                    let done = task.join().unwrap();
                    done.unwrap_or_else(|error| panic!("{what}: {}", full_text(&error)));
                }
            });
            let created = scene.store.put_if_absent("run.json", b"1").unwrap();
            assert_eq!(created, PutOutcome::Created(Checksum::of(b"1")), "{what}");
            let found = scene.store.get_versioned("run.json").unwrap().unwrap();
            let put = scene.store.put_if_unchanged("run.json", b"2", &found.version).unwrap();
            assert!(matches!(put, ReplaceOutcome::Replaced(_)), "{what}");
            let mut given_up = scene.store.create("c").unwrap();
            given_up.write_all(&a).unwrap();
            drop(given_up);
            scene.store.put("state", b"s").unwrap();
            let names = scene.store.list("").unwrap().into_iter().map(|object| object.name);
            assert_eq!(names.collect::<Vec<_>>(), ["a", "b", "run.json", "state"], "{what}");
            scene.holds(&[("a", &a), ("b", &b), ("run.json", b"2"), ("state", b"s")], &what);
            happened += scene.proxy.faults();
        }
    }
    assert!(happened > 50, "{happened}");
}

#[test]
fn parts_under_way_stay_within_their_room_however_slow_the_store_is() {
    let slow = rule("PUT", "partNumber", Fault::Slow(Duration::from_millis(60))).times(1000);
    let scene = Scene::new(&servers::s3s_fs(), vec![slow]);
    std::thread::scope(|scope| {
        for i in 0..4 {
            let scene = &scene;
            scope.spawn(move || scene.write(&format!("t/{i}"), &noise(15 * MIB, i)).unwrap());
        }
    });
    assert_eq!(scene.store.list("t/").unwrap().len(), 4);
    // Room for ten MiB, parts of five.
    assert_eq!(scene.proxy.most_parts_at_once(), 2);
}

#[test]
fn uploads_go_no_faster_than_they_are_told() {
    let options = S3Options { upload_rate: Some(1_000_000), ..test_options() };
    let scene = Scene::with(&servers::s3s_fs(), Vec::new(), &options);
    let start = Instant::now();
    for i in 0..4 {
        scene.store.put(&format!("a{i}"), &noise(200_000, i)).unwrap();
    }
    let took = start.elapsed();
    assert!(took > Duration::from_millis(590), "{took:?}");
}

#[test]
fn every_request_says_whose_bucket_it_must_be_and_none_has_an_acl() {
    let Some(moto) = servers::moto() else { return };
    let options = S3Options {
        encryption: Encryption::Aes256,
        expected_bucket_owner: Some("123456789012".into()),
        ..test_options()
    };
    let scene = Scene::with(&moto, Vec::new(), &options);
    scene.write_both().unwrap();
    scene.store.put_if_absent("run.json", b"1").unwrap();
    let found = scene.store.get_versioned("run.json").unwrap().unwrap();
    scene.store.put_if_unchanged("run.json", b"2", &found.version).unwrap();
    scene.store.list("").unwrap();
    scene.store.delete("small").unwrap();
    let mut given_up = scene.store.create("c").unwrap();
    given_up.write_all(&noise(6 * MIB, 1)).unwrap();
    given_up.abort().unwrap();
    scene.store.clean_temporaries("c").unwrap();
    let heads = scene.proxy.heads();
    assert!(heads.len() > 14, "{}", heads.len());
    let (mut encrypted, mut summed) = (0, 0);
    for head in heads {
        assert!(head.contains("x-amz-expected-bucket-owner: 123456789012"), "{head}");
        assert!(!head.contains("x-amz-acl") && !head.contains("x-amz-grant"), "{head}");
        let first = head.lines().next().unwrap();
        let makes = first.starts_with("put") && !first.contains("partnumber")
            || first.contains("?uploads ") && first.starts_with("post");
        assert_eq!(head.contains("x-amz-server-side-encryption: aes256"), makes, "{head}");
        encrypted += usize::from(makes);
        if first.starts_with("put") || first.starts_with("post") && first.contains("uploadid=") {
            assert!(head.contains("x-amz-checksum-crc64nvme: "), "{head}");
            summed += 1;
        }
    }
    assert!(encrypted >= 6 && summed >= 8, "{encrypted} {summed}");
}
