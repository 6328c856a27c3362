use data_encoding::HEXLOWER;
use hayloft_feed::Fragment;
use hayloft_feed::native::encoded;
use serde::Serialize;

use crate::Manifest;
use crate::manifest::Sha256Digest;

/// A file's object of the JSON index without its end: time of arrival and yanking follow.
pub(crate) const JSON: u8 = 1;
/// A file's line of the HTML index behind `<a`, where yanking stands.
pub(crate) const HTML: u8 = 2;

/// What the index writes of a file, out of the file alone.
pub(crate) fn of_file(
    manifest: &Manifest,
    project: &str,
    sha256: &[u8; 32],
    size: u64,
) -> Vec<Fragment> {
    let sha256 = HEXLOWER.encode(sha256);
    let file = &manifest.filename;
    // From `simple/PROJECT/`, so that the feed may be mounted anywhere.
    let url = format!("../../files/{project}/{sha256}/{}", encoded(file));
    vec![
        Fragment { kind: JSON, bytes: json(manifest, &url, &sha256, size) },
        Fragment { kind: HTML, bytes: html(manifest, &url, &sha256) },
    ]
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct File<'f> {
    filename: &'f str,
    url: &'f str,
    hashes: Hashes<'f>,
    #[serde(skip_serializing_if = "Option::is_none")]
    requires_python: Option<&'f str>,
    size: u64,
    core_metadata: Metadata<'f>,
    /// What older clients read.
    dist_info_metadata: Metadata<'f>,
}

#[derive(Serialize)]
struct Hashes<'f> {
    sha256: &'f str,
}

#[derive(Serialize, Clone, Copy)]
#[serde(untagged)]
enum Metadata<'f> {
    Given(&'f Sha256Digest),
    None(bool),
}

fn json(manifest: &Manifest, url: &str, sha256: &str, size: u64) -> Vec<u8> {
    let metadata = manifest.core_metadata.as_ref().map_or(Metadata::None(false), Metadata::Given);
    let file = File {
        filename: &manifest.filename,
        url,
        hashes: Hashes { sha256 },
        requires_python: manifest.info.requires_python.as_deref(),
        size,
        core_metadata: metadata,
        dist_info_metadata: metadata,
    };
    let mut text = serde_json::to_vec(&file).unwrap_or_default();
    text.pop();
    text
}

fn html(manifest: &Manifest, url: &str, sha256: &str) -> Vec<u8> {
    let mut line = format!(" href=\"{}#sha256={sha256}\"", escaped(url));
    if let Some(specifier) = &manifest.info.requires_python {
        line.push_str(" data-requires-python=\"");
        line.push_str(&escaped(specifier));
        line.push('"');
    }
    if let Some(Sha256Digest { sha256 }) = &manifest.core_metadata {
        for attribute in ["data-core-metadata", "data-dist-info-metadata"] {
            for part in [" ", attribute, "=\"sha256=", sha256, "\""] {
                line.push_str(part);
            }
        }
    }
    line.push('>');
    line.push_str(&escaped(&manifest.filename));
    line.push_str("</a><br>\n");
    line.into_bytes()
}

/// Text for an attribute in quotation marks, or between elements.
pub(crate) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#x27;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fragments_escape_what_strangers_wrote() {
        let name = "a-1!1+x-py3-none-any.whl";
        let info = crate::CoreMetadata {
            requires_python: Some(">=3.8,<4 \"<script>\" & '".to_owned()),
            ..crate::CoreMetadata::default()
        };
        let manifest = Manifest::new(name, &name.parse().unwrap(), Some("00".to_owned()), info);
        let found = of_file(&manifest, "a", &[0xab; 32], 7);
        let text = |at: usize| String::from_utf8(found[at].bytes.clone()).unwrap();
        let sha256 = "ab".repeat(32);
        assert_eq!(
            text(0),
            format!(
                "{{\"filename\":\"a-1!1+x-py3-none-any.whl\",\
                 \"url\":\"../../files/a/{sha256}/a-1%211%2Bx-py3-none-any.whl\",\
                 \"hashes\":{{\"sha256\":\"{sha256}\"}},\
                 \"requires-python\":\">=3.8,<4 \\\"<script>\\\" & '\",\"size\":7,\
                 \"core-metadata\":{{\"sha256\":\"00\"}},\"dist-info-metadata\":{{\"sha256\":\"00\"}}"
            )
        );
        assert_eq!(
            text(1),
            format!(
                " href=\"../../files/a/{sha256}/a-1%211%2Bx-py3-none-any.whl#sha256={sha256}\" \
                 data-requires-python=\"&gt;=3.8,&lt;4 &quot;&lt;script&gt;&quot; &amp; &#x27;\" \
                 data-core-metadata=\"sha256=00\" data-dist-info-metadata=\"sha256=00\">\
                 a-1!1+x-py3-none-any.whl</a><br>\n"
            )
        );
    }
}
