use sha2::{Digest, Sha256};

use super::Package;
use super::containers::{Directories, borrowed, gzip, tar, zip};

/// The name as file names and modules spell it.
pub(super) fn module(name: &str) -> String {
    let parts: Vec<_> = name.split(['-', '_', '.']).filter(|part| !part.is_empty()).collect();
    parts.join("_").to_lowercase()
}

fn metadata(package: &Package) -> String {
    let (name, version, fields) = (&package.name, &package.version, package.line_fields());
    let python = package.fields.iter().any(|(name, _)| name == "Requires-Python");
    let python = if python { "" } else { "Requires-Python: >=3.8\n" };
    format!(
        "Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nSummary: A package for tests\n\
         {python}{fields}\nFor tests.\n"
    )
}

pub(super) fn wheel(package: &Package) -> Vec<u8> {
    let module = module(&package.name);
    let info = format!("{module}-{}.dist-info", package.version);
    let code = format!("__version__ = \"{}\"\n", package.version);
    let about = "Wheel-Version: 1.0\nGenerator: hayloft-testkit\nRoot-Is-Purelib: true\n\
                 Tag: py3-none-any\n";
    let mut files = vec![(format!("{module}/__init__.py"), code.into_bytes())];
    files.extend(package.files.iter().cloned());
    files.push((format!("{info}/METADATA"), metadata(package).into_bytes()));
    files.push((format!("{info}/WHEEL"), about.as_bytes().to_vec()));
    let record_path = format!("{info}/RECORD");
    let signature = format!("{record_path}.");
    let mut record: String = files
        .iter()
        .filter(|(path, _)| !path.starts_with(&signature))
        .map(|(path, bytes)| {
            let digest = data_encoding::BASE64URL_NOPAD.encode(&Sha256::digest(bytes));
            format!("{path},sha256={digest},{}\n", bytes.len())
        })
        .collect();
    record.push_str(&format!("{record_path},,\n"));
    files.push((record_path, record.into_bytes()));
    zip(borrowed(&files))
}

pub(super) fn sdist(package: &Package) -> Vec<u8> {
    let module = module(&package.name);
    let top = format!("{module}-{}", package.version);
    let project = format!(
        "[build-system]\nrequires = []\nbuild-backend = \"build_backend\"\n\
         backend-path = [\".\"]\n\n[project]\nname = \"{}\"\nversion = \"{}\"\n",
        package.name, package.version
    );
    let code = format!("__version__ = \"{}\"\n", package.version);
    let mut files = vec![
        ("PKG-INFO".to_owned(), metadata(package).into_bytes()),
        ("pyproject.toml".to_owned(), project.into_bytes()),
        ("build_backend.py".to_owned(), BACKEND.as_bytes().to_vec()),
        (format!("{module}/__init__.py"), code.into_bytes()),
    ];
    files.extend(package.files.iter().cloned());
    for (path, _) in &mut files {
        *path = format!("{top}/{path}");
    }
    gzip(&tar(borrowed(&files), Directories::Named))
}

/// A build backend that takes name and version from `pyproject.toml` and needs no other package.
const BACKEND: &str = r#"import base64, hashlib, os, re, zipfile

def _project():
    text = open("pyproject.toml", encoding="utf-8").read()
    find = lambda key: re.search('^%s = "(.*)"$' % key, text, re.M).group(1)
    return find("name"), find("version")

def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    name, version = _project()
    module = re.sub("[-_.]+", "_", name).lower()
    info = "%s-%s.dist-info" % (module, version)
    files = {
        module + "/__init__.py": open(module + "/__init__.py", "rb").read(),
        info + "/METADATA": open("PKG-INFO", "rb").read(),
        info + "/WHEEL": b"Wheel-Version: 1.0\nGenerator: build_backend\n"
                         b"Root-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = ""
    for path, data in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        record += "%s,sha256=%s,%d\n" % (path, digest, len(data))
    files[info + "/RECORD"] = (record + info + "/RECORD,,\n").encode()
    result = "%s-%s-py3-none-any.whl" % (module, version)
    with zipfile.ZipFile(os.path.join(wheel_directory, result), "w") as archive:
        for path, data in files.items():
            archive.writestr(path, data)
    return result

def build_sdist(sdist_directory, config_settings=None):
    raise NotImplementedError
"#;
