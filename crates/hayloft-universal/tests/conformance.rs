//! The contract between store and feed type.

#![allow(clippy::unwrap_used, reason = "tests panic to fail")]

use hayloft_testkit::{Sample, check, check_order, upack, vpack};
use hayloft_universal::Universal;

#[test]
fn universal_meets_the_contract() {
    let plain = upack("", "pkg", "1.0.0-rc.1+b.7");
    let grouped = upack("Initrode/Vendors/a", "AB.Last", "123456789012345678901234567890.0.0")
        .field("_n", "1.50e+400")
        .field("repackageHistory", r#"["g:b:1.0.0-a", {"id":"g/b:1.0.0-b","_x":[1]}]"#)
        .payload(2000)
        .file("scripts\\Install.ps1", b"exit 0".as_slice());
    let assembled =
        vpack("a", "virtual", "1.0.0", r#"["b/c:1.0.0", {"virtualPath":"x","source":"d:1.0.0"}]"#);
    let samples = [
        Sample::new(&plain.file_name(), plain.build()),
        Sample::new("a wrong name-0.0.1.zip", grouped.build())
            .called("Initrode/Vendors/a", "AB.Last"),
        Sample::new(&assembled.file_name(), assembled.build()),
        Sample::new(
            "bare.vpack",
            "\u{feff}{\r\n\"name\":\"bare\",\r\n\"version\":\"1.0.0\",\"contents\":[\"b:1.0.0\"]}",
        ),
        Sample::unnamed(upack("", "pkg", "1.0.0").field("repackageHistory", "7").build())
            .not_repackageable(),
    ];
    check(&Universal, &samples, "2.0.0-rc.1");
    check(&Universal, &samples[..4], "2.0.0+build");
}

#[test]
fn versions_sort_as_semantic_versions() {
    let ascending = [
        "0.0.0-0",
        "1.0.0-1",
        "1.0.0-2",
        "1.0.0-10",
        "1.0.0-B",
        "1.0.0-a",
        "1.0.0-a.1",
        "1.0.0-a.b",
        "1.0.0-a-b",
        "1.0.0",
        "1.0.1-0",
        "1.2.0",
        "1.10.0",
        "9999999999999999999999.0.0",
    ];
    check_order(&Universal, &ascending);
}
