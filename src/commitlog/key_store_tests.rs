use super::*;
use crate::commitlog::EncryptionParameters;

/// Made by keytool of JDK 17: an AES key of 128 bits, `Testing:1`, with the password of the store, and one of 256 bits, `large`,
/// with another; 200,000 iterations.
const STORE: &str = "\
    cececece000000020000000200000003000974657374696e673a31000001a20067e880aced000573720033636f6d2e73756e2e63727970\
    746f2e70726f76696465722e5365616c65644f626a656374466f724b657950726f746563746f72cd57ca59e730bb53020000787200196a\
    617661782e63727970746f2e5365616c65644f626a6563743e363da6c3b754700200045b000d656e636f646564506172616d737400025b\
    425b0010656e63727970746564436f6e74656e7471007e00024c0009706172616d73416c677400124c6a6176612f6c616e672f53747269\
    6e673b4c00077365616c416c6771007e00037870757200025b42acf317f8060854e0020000787000000011300f04086c0030500f2dbbfd\
    0203030d407571007e000500000090b65c9e132642b8a651749a4e7bfff4d4353e6707747b53f67013c411449caaa1c1b1529a45d3a30e\
    1f66da37d23f8cd45a12729b5200bc9350288b1e966840b044f79956f1db91c37d3dcec5b6b26cc683ecbc6c734eaae78942b783b692ca\
    7b71534cbd11d1300c709441ace8cf9722864b4ecaa3c3da310a867c95c151ac54458c5024701ad077c916076f739f87d6740016504245\
    576974684d4435416e64547269706c65444553740016504245576974684d4435416e64547269706c654445530000000300056c61726765\
    000001a20067ec18aced000573720033636f6d2e73756e2e63727970746f2e70726f76696465722e5365616c65644f626a656374466f72\
    4b657950726f746563746f72cd57ca59e730bb53020000787200196a617661782e63727970746f2e5365616c65644f626a6563743e363d\
    a6c3b754700200045b000d656e636f646564506172616d737400025b425b0010656e63727970746564436f6e74656e7471007e00024c00\
    09706172616d73416c677400124c6a6176612f6c616e672f537472696e673b4c00077365616c416c6771007e00037870757200025b42ac\
    f317f8060854e0020000787000000011300f0408c0634cfccadb6a8a0203030d407571007e0005000000a0d90e3830d02e93e612582fe7\
    1384234476342e218604f73e494ece7ea6877e6125f7d65a284f293a2732b2a98358ebe39e3dbafbc948761321b03bc74de12623c14cba\
    dc5faabffed388e11a316da6bd4fca49966102072566995f04f14858246f98c34a69cdfe83833ce1d37980c1ae00bc7b87c2ade73c8478\
    8a7eb1d655bd4a10f6414c428e52b36d01d623fcb789195435ae7daafaa23ec12e4c273433b9740016504245576974684d4435416e6454\
    7269706c65444553740016504245576974684d4435416e64547269706c654445533820aa29b944e96c70a8a715bbaefb4897b4b189";

const PASSWORD: &str = "cassandra";

fn bytes() -> Vec<u8> {
    hex_simd::decode_to_vec(STORE).unwrap()
}

fn open(bytes: &[u8], password: &str, key_password: Option<&str>) -> Result<EncryptionKeys> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keys.jceks");
    std::fs::write(&path, bytes).unwrap();
    EncryptionKeys::from_jceks(&path, password, key_password)
}

fn hex(digits: &str) -> Vec<u8> {
    hex_simd::decode_to_vec(digits).unwrap()
}

#[test]
fn keys_of_a_store_of_java_17_are_those_that_java_reads() {
    let mut expected = EncryptionKeys::none();
    expected.insert("testing:1", hex("14c9aec95ce5e490108c6f2a159cf1ac")).unwrap();
    let keys = open(&bytes(), PASSWORD, None).unwrap();
    assert_eq!(keys.aliases().collect::<Vec<_>>(), ["testing:1"]);
    let parameters = |alias: &str| EncryptionParameters {
        cipher: "AES/CBC/PKCS5Padding".into(),
        key_alias: alias.into(),
        iv: vec![0; 16],
    };
    let path = Path::new("CommitLog-6-1.log");
    assert!(keys.cipher(&parameters("Testing:1"), path).is_ok());
    let error = keys.cipher(&parameters("large"), path).unwrap_err();
    assert!(error.to_string().contains("password of the key is wrong"), "{error}");

    let mut all = open(&bytes(), PASSWORD, Some("otherpass")).unwrap();
    assert_eq!(all.aliases().collect::<Vec<_>>(), ["large"]);
    all.extend(keys);
    let digits = "72bb3b2e8291a0f0044185885bb611bfceabe9db2c1bc1fd35570efc39fa33a3";
    expected.insert("large", hex(digits)).unwrap();
    for alias in ["testing:1", "large"] {
        let of = |keys: &EncryptionKeys| keys.key(alias).map(<[u8]>::to_vec);
        assert_eq!(of(&all), of(&expected), "{alias}");
    }
}

#[test]
fn what_is_not_such_a_store_is_said() {
    let error = open(&bytes(), "wrong", None).unwrap_err();
    assert!(error.to_string().contains("password of the key store"), "{error}");
    for (start, words) in [
        (&b"\xfe\xed\xfe\xed\0\0\0\x02"[..], "cannot hold"),
        (b"\x30\x82\x04\x05\0\0\0\0", "importkeystore"),
        (b"\xce\xce\xce\xce\0\0\0\x01", "version 1"),
    ] {
        let error = open(start, PASSWORD, None).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}

/// The store's checksum finds each flipped bit; with the checksum made right again, nothing panics or runs away.
#[test]
fn damaged_stores_are_errors() {
    let good = bytes();
    let content = &good[..good.len() - DIGEST_LEN];
    for len in 0..content.len() {
        assert!(open(&good[..len], PASSWORD, None).is_err(), "{len}");
    }
    for bit in (0..content.len() * 8).step_by(7) {
        let mut content = content.to_vec();
        content[bit / 8] ^= 1 << (bit % 8);
        let mut damaged = content.clone();
        damaged.extend(&good[content.len()..]);
        assert!(open(&damaged, PASSWORD, None).is_err(), "bit {bit}");
        if let Ok(entries) = read_entries(&content) {
            assert!(entries.len() <= 2);
        }
    }
    assert_eq!(read_entries(content).unwrap().len(), 2);
    assert!(read_entries(&[content, &[0]].concat()).is_err());
    for len in 0..content.len() {
        assert!(read_entries(&content[..len]).is_err(), "{len}");
    }
}

#[test]
fn parameters_are_checked() {
    let der = |salt: &[u8], number: &[u8]| {
        let lens = [salt.len(), number.len()].map(|n| u8::try_from(n).unwrap());
        let inner = [&[4, lens[0]], salt, &[2, lens[1]], number].concat();
        [&[0x30, u8::try_from(inner.len()).unwrap()], &inner[..]].concat()
    };
    let read = |salt: &[u8], number: &[u8]| read_parameters(&der(salt, number));
    assert_eq!(read(&[1; 8], &[3, 0x0d, 0x40]).unwrap(), ([1; 8], 200_000));
    for (salt, number) in [
        (&[1; 8][..], &[0][..]),
        (&[1; 8], &[0x7f, 0xff, 0xff, 0xff]),
        (&[1; 8], &[1; 9]),
        (&[1; 8], &[]),
        (&[1; 7], &[20]),
    ] {
        assert!(read(salt, number).is_err());
    }
    assert_eq!(salt_halves([1, 2, 3, 4, 5, 6, 7, 8]), [[1, 2, 3, 4], [5, 6, 7, 8]]);
    assert_eq!(salt_halves([1, 2, 3, 4, 1, 2, 3, 4]), [[4, 1, 2, 4], [1, 2, 3, 4]]);
}
