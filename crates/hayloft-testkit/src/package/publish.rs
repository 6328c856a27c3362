use data_encoding::BASE64;
use hayloft_feed::json::quoted;
use hayloft_feed::native::{ActionKind, SampleRequest, encoded};

use super::{Format, Package};

/// Stands in no package.
const BOUNDARY: &str = "7MA4YWxkTrZu0gWhayloft";
const MULTIPART: &str = "multipart/form-data; boundary=7MA4YWxkTrZu0gWhayloft";

impl Package {
    /// The request by which the ecosystem's client publishes the package; a `.deb` goes to `main`
    /// of `stable`.
    pub fn publish(&self) -> SampleRequest {
        let bytes = self.build();
        let upload = |method, path: String, media_type, body| {
            SampleRequest::action(method, path, ActionKind::Upload).body(media_type, body)
        };
        let path = |text: &str| text.to_owned();
        match &self.format {
            Format::Nupkg => {
                upload("PUT", path("/v3/package/"), MULTIPART, self.form("package", &[], &bytes))
            }
            Format::Snupkg => {
                let body = self.form("package", &[], &bytes);
                upload("PUT", path("/v3/symbolpackage"), MULTIPART, body)
            }
            Format::Upack | Format::Vpack { .. } => {
                upload("PUT", path("/upload"), "application/zip", bytes)
            }
            Format::Npm => {
                let path = format!("/{}", encoded(&self.name));
                upload("PUT", path, "application/json", self.document(&bytes).into_bytes())
            }
            Format::Wheel | Format::Sdist => {
                let fields =
                    [(":action", "file_upload"), ("name", &self.name), ("version", &self.version)];
                upload("POST", path("/legacy/"), MULTIPART, self.form("content", &fields, &bytes))
            }
            Format::Deb { .. } => upload(
                "PUT",
                path("/upload/stable/main"),
                "application/vnd.debian.binary-package",
                bytes,
            ),
            Format::Gem { .. } => {
                upload("POST", path("/api/v1/gems"), "application/octet-stream", bytes)
            }
        }
    }

    fn form(&self, part: &str, fields: &[(&str, &str)], bytes: &[u8]) -> Vec<u8> {
        let mut body = String::new();
        for (name, value) in fields {
            body += &format!(
                "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
            );
        }
        body += &format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{part}\"; filename=\"{}\"\r\n\
             Content-Type: application/octet-stream\r\n\r\n",
            self.file_name()
        );
        [body.as_bytes(), bytes, format!("\r\n--{BOUNDARY}--\r\n").as_bytes()].concat()
    }

    fn document(&self, bytes: &[u8]) -> String {
        let Self { name, version, .. } = self;
        let (id, version) = (quoted(name), quoted(version));
        let file = quoted(&format!("{name}-{}.tgz", self.version));
        format!(
            r#"{{"_id":{id},"name":{id},"dist-tags":{{"latest":{version}}},"versions":{{{version}:{{"name":{id},"version":{version}}}}},"_attachments":{{{file}:{{"content_type":"application/octet-stream","length":{},"data":"{}"}}}}}}"#,
            bytes.len(),
            BASE64.encode(bytes),
        )
    }
}
