/// Writes the part of Ruby's Marshal 4.8 that indexes of gems are made of.
///
/// Strings are UTF-8; symbols are written out once and named by number after that. No object is
/// referred to a second time, so that what begins with the same symbols can be written alone and
/// put together.
/// Format: <https://docs.ruby-lang.org/en/master/marshal_rdoc.html>
#[derive(Debug)]
pub(crate) struct Marshal {
    out: Vec<u8>,
    symbols: Vec<&'static str>,
}

impl Marshal {
    pub(crate) fn new() -> Self {
        Self { out: vec![4, 8], symbols: Vec::new() }
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.out
    }

    /// What was written since the last call, for streams.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    pub(crate) fn nil(&mut self) {
        self.out.push(b'0');
    }

    pub(crate) fn boolean(&mut self, value: bool) {
        self.out.push(if value { b'T' } else { b'F' });
    }

    pub(crate) fn integer(&mut self, value: i32) {
        self.out.push(b'i');
        self.number(value);
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.out.extend_from_slice(b"I\"");
        self.bytes(text.as_bytes());
        self.number(1);
        self.symbol("E");
        self.boolean(true);
    }

    pub(crate) fn text_or_nil(&mut self, text: Option<&str>) {
        match text {
            Some(text) => self.text(text),
            None => self.nil(),
        }
    }

    pub(crate) fn symbol(&mut self, name: &'static str) {
        if let Some(at) = self.symbols.iter().position(|known| *known == name) {
            self.out.push(b';');
            self.length(at);
        } else {
            self.out.push(b':');
            self.bytes(name.as_bytes());
            self.symbols.push(name);
        }
    }

    /// The elements follow.
    pub(crate) fn array(&mut self, length: usize) {
        self.out.push(b'[');
        self.length(length);
    }

    pub(crate) fn texts(&mut self, texts: &[String]) {
        self.array(texts.len());
        for text in texts {
            self.text(text);
        }
    }

    /// That many keys and values follow.
    pub(crate) fn hash(&mut self, pairs: usize) {
        self.out.push(b'{');
        self.length(pairs);
    }

    pub(crate) fn version(&mut self, version: &str) {
        self.out.push(b'U');
        self.symbol("Gem::Version");
        self.array(1);
        self.text(version);
    }

    /// Constraints such as `>= 1.0`.
    pub(crate) fn requirement(&mut self, constraints: &[String]) {
        self.out.push(b'U');
        self.symbol("Gem::Requirement");
        self.array(1);
        self.array(constraints.len());
        for constraint in constraints {
            let (operator, version) = constraint.split_once(' ').unwrap_or(("=", constraint));
            self.array(2);
            self.text(operator);
            self.version(version);
        }
    }

    /// An object of `class` with so many instance variables, which follow as symbols and values.
    pub(crate) fn object(&mut self, class: &'static str, variables: usize) {
        self.out.push(b'o');
        self.symbol(class);
        self.length(variables);
    }

    /// An object of `class` that writes itself as bytes.
    pub(crate) fn dumped(&mut self, class: &'static str, bytes: &[u8]) {
        self.out.push(b'u');
        self.symbol(class);
        self.bytes(bytes);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.length(bytes.len());
        self.out.extend_from_slice(bytes);
    }

    /// Lengths are numbers of at most 31 bits; nothing here is longer.
    fn length(&mut self, length: usize) {
        self.number(i32::try_from(length).unwrap_or(i32::MAX));
    }

    fn number(&mut self, value: i32) {
        let small = match value {
            0 => Some(0),
            1..=122 => Some(value + 5),
            -123..=-1 => Some(value - 5),
            _ => None,
        };
        let [a, b, c, d] = value.to_le_bytes();
        match small {
            Some(small) => self.out.extend(small.to_le_bytes().first()),
            None if (0..0x100).contains(&value) => self.out.extend([1, a]),
            None if (0..0x1_0000).contains(&value) => self.out.extend([2, a, b]),
            None if (0..0x100_0000).contains(&value) => self.out.extend([3, a, b, c]),
            None if value >= 0 => self.out.extend([4, a, b, c, d]),
            None if value >= -0x100 => self.out.extend([0xff, a]),
            None if value >= -0x1_0000 => self.out.extend([0xfe, a, b]),
            None if value >= -0x100_0000 => self.out.extend([0xfd, a, b, c]),
            None => self.out.extend([0xfc, a, b, c, d]),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(0, b"i\0")]
    #[case(1, b"i\x06")]
    #[case(122, b"i\x7f")]
    #[case(123, b"i\x01\x7b")]
    #[case(255, b"i\x01\xff")]
    #[case(256, b"i\x02\0\x01")]
    #[case(65536, b"i\x03\0\0\x01")]
    #[case(16_777_216, b"i\x04\0\0\0\x01")]
    #[case(-1, b"i\xfa")]
    #[case(-123, b"i\x80")]
    #[case(-124, b"i\xff\x84")]
    #[case(-256, b"i\xff\0")]
    #[case(-257, b"i\xfe\xff\xfe")]
    fn numbers_are_those_of_ruby(#[case] value: i32, #[case] expected: &[u8]) {
        let mut marshal = Marshal::new();
        marshal.integer(value);
        assert_eq!(marshal.finish(), [b"\x04\x08", expected].concat());
    }

    #[test]
    fn ruby_reads_what_is_written() {
        let mut marshal = Marshal::new();
        marshal.array(7);
        marshal.text("hä");
        marshal.texts(&["a".repeat(200), String::new()]);
        marshal.hash(1);
        marshal.symbol("name");
        marshal.boolean(false);
        marshal.version("1.0");
        marshal.requirement(&[">= 1.0".to_owned(), "< 2".to_owned()]);
        marshal.text_or_nil(None);
        marshal.integer(70_000);
        let file = std::env::temp_dir().join(format!("hayloft-marshal-{}", std::process::id()));
        std::fs::write(&file, marshal.finish()).unwrap();
        let script = "a = Marshal.load(File.binread(ARGV[0]))\n\
            a[3] = a[3].to_s; a[4] = a[4].to_s; p a";
        let output = Command::new("ruby").args(["-e", script]).arg(&file).output();
        std::fs::remove_file(&file).unwrap();
        let Ok(output) = output else { return };
        let printed = String::from_utf8(output.stdout).unwrap();
        let long = "a".repeat(200);
        assert_eq!(
            printed.trim(),
            format!(
                "[\"hä\", [\"{long}\", \"\"], {{:name=>false}}, \"1.0\", \">= 1.0, < 2\", nil, \
                 70000]"
            )
        );
    }
}
