//! How common web servers are told to serve an export.

/// A web server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Snippet {
    /// nginx: a `server` block's inside.
    Nginx,
    /// Caddy: a site block's inside.
    Caddy,
    /// Apache: a virtual host's inside.
    Apache,
}

/// The lines that make a web server serve the export in `folder`, whose URL has this path (`/`, or
/// a path without a slash at its end).
///
/// Folders answer with the document in them, records stay hidden, files that do not change under
/// their names are the only ones that may be kept, and Bundler gets no entity tags: it compares
/// those with digests.
pub fn snippet(server: Snippet, folder: &str, path: &str) -> String {
    let path = path.trim_end_matches('/');
    match server {
        Snippet::Nginx => nginx(folder, path),
        Snippet::Caddy => caddy(folder, path),
        Snippet::Apache => apache(folder, path),
    }
}

fn nginx(folder: &str, path: &str) -> String {
    // A location that ends in a slash takes an alias that does.
    format!(
        r#"# Below: what Bundler reads, without entity tags.
location ~ ^{path}/(versions|names|info/.*)$ {{
    alias "{folder}/$1";
    etag off;
    default_type text/plain;
}}
location ~ ^{path}/\.hayloft-export(/|$) {{
    return 404;
}}
location ~ ^{path}/(.*)$ {{
    root "{folder}";
    default_type application/octet-stream;
    types {{
        text/html html;
        application/json json;
        text/plain txt asc;
        application/gzip gz tgz;
    }}
    add_header Cache-Control no-cache;
    absolute_redirect off;
    # A folder is answered with the document in it, whether it is asked for with a slash or not.
    try_files /$1 /$1/index.json /$1/index.html /$1index.html =404;
}}
"#
    )
}

fn caddy(folder: &str, path: &str) -> String {
    format!(
        r#"handle_path {path}/* {{
    root * "{folder}"
    @records path /.hayloft-export /.hayloft-export/*
    respond @records 404
    @bundler path /versions /names /info/*
    header @bundler -Etag
    header Cache-Control no-cache
    # A folder is answered with the document in it, whether it is asked for with a slash or not.
    try_files {{path}} {{path}}/index.json {{path}}/index.html
    file_server
}}
"#
    )
}

fn apache(folder: &str, path: &str) -> String {
    let path = if path.is_empty() { "/" } else { path };
    format!(
        r#"Alias "{path}" "{folder}"
# Names of packages may hold an encoded slash.
AllowEncodedSlashes On
<Directory "{folder}">
    Require all granted
    Options -Indexes
    # A folder is answered with the document in it, whether it is asked for with a slash or not.
    DirectorySlash Off
    DirectoryIndex index.json index.html
    RewriteEngine On
    RewriteCond %{{REQUEST_FILENAME}} -d
    RewriteCond %{{REQUEST_FILENAME}}/index.json -f
    RewriteRule ^(.+?)/?$ $1/index.json [END]
    RewriteCond %{{REQUEST_FILENAME}} -d
    RewriteCond %{{REQUEST_FILENAME}}/index.html -f
    RewriteRule ^(.+?)/?$ $1/index.html [END]
    Header set Cache-Control no-cache
    RemoveEncoding .gz
</Directory>
<DirectoryMatch "/\.hayloft-export(/|$)">
    Require all denied
</DirectoryMatch>
<LocationMatch "/(versions|names|info/[^/]*)$">
    Header unset ETag
    FileETag None
</LocationMatch>
"#
    )
}
