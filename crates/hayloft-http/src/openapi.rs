use std::collections::BTreeMap;

use utoipa::ToSchema;
use utoipa::openapi::path::{
    HttpMethod, Operation, OperationBuilder, ParameterBuilder, ParameterIn, Paths,
};
use utoipa::openapi::request_body::{RequestBody, RequestBodyBuilder};
use utoipa::openapi::schema::{
    Array, ArrayBuilder, Components, ComponentsBuilder, KnownFormat, ObjectBuilder, Schema,
    SchemaFormat, SchemaType, Type,
};
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{
    Content, InfoBuilder, OpenApiBuilder, Ref, RefOr, Required, Response, ResponseBuilder,
};

use crate::access::{ENDPOINTS, Endpoint, Guard};
use crate::edge::API_VERSION;
use crate::wire;

/// The `OpenAPI` document of the API as JSON text, generated from the table of endpoints and the
/// wire objects. It has no native protocols: their owners describe them.
pub fn openapi() -> String {
    let mut paths = Paths::new();
    for endpoint in ENDPOINTS {
        for (at, method) in endpoint.methods.iter().enumerate() {
            let operation = operation(endpoint, method, at == 0);
            paths.add_path_operation(endpoint.path, vec![http_method(method)], operation);
        }
    }
    let info = InfoBuilder::new()
        .title("Hayloft")
        .version(API_VERSION)
        .description(Some("The Packages API over a Hayloft store."));
    let document = OpenApiBuilder::new()
        .info(info.build())
        .paths(paths)
        .components(Some(components()))
        .build();
    // Its parts are maps with text keys, texts and numbers, which JSON has.
    document.to_pretty_json().unwrap_or_default() + "\n"
}

/// What a request or an answer carries.
#[derive(Debug, Clone, Copy)]
enum Carried {
    Nothing,
    Object(&'static str),
    Array(&'static str),
    /// JSON or a form.
    Fields(&'static str),
    Bytes,
    Text,
    Json,
}

/// What an endpoint takes and gives; parameters are name, description and whether they must be
/// there.
struct Shape {
    query: &'static [(&'static str, &'static str, bool)],
    body: Carried,
    answer: Carried,
}

/// Parameters that name one package version.
const PACKAGE: &[(&str, &str, bool)] = &[
    ("group", "Scope or group.", false),
    ("name", "Package name; needed unless `purl` is given.", false),
    ("version", "Version; needed unless `purl` is given.", false),
    ("qualifier", "Which file of the version, as `key=value` pairs joined by `&`.", false),
    ("purl", "Package URL in place of the four others.", false),
];

/// Parameters that narrow a list of versions.
const FILTER: &[(&str, &str, bool)] = &[
    ("group", "Scope or group.", false),
    ("name", "Package name.", false),
    ("version", "Version.", false),
];

fn shape(endpoint: &Endpoint) -> Shape {
    use Carried::{Array, Bytes, Fields, Json, Nothing, Object, Text};
    let (query, body, answer): (&'static [_], _, _) = match endpoint.id {
        "getFeedInfo" => (&[], Nothing, Object("FeedInfo")),
        "listLatestPackages" => (
            &[
                ("group", "Scope or group.", false),
                ("name", "Package name.", false),
                ("stableOnly", "`true` for the highest stable versions.", false),
            ],
            Nothing,
            Array("PackageVersionInfo"),
        ),
        "listPackageVersions" => (FILTER, Nothing, Array("PackageVersionInfo")),
        "getPackageMetadata" => (PACKAGE, Nothing, Object("PackageMetadata")),
        "getPackageHistory" => (PACKAGE, Nothing, Object("PackageHistory")),
        "auditPackage" => (PACKAGE, Nothing, Object("AuditResult")),
        "downloadPackage" => (PACKAGE, Nothing, Bytes),
        "uploadPackage" | "uploadNamedPackage" => (
            &[
                ("distribution", "Distribution, where packages have one.", false),
                ("component", "Component, where packages have one; `main` if absent.", false),
            ],
            Bytes,
            Nothing,
        ),
        "deletePackage" => (PACKAGE, Nothing, Nothing),
        "setPackageStatus" => (PACKAGE, Object("PackageStatus"), Nothing),
        "promotePackage" => (&[], Fields("PromoteInput"), Object("Published")),
        "repackagePackage" => (&[], Fields("RepackageInput"), Object("Published")),
        "listPromotions" => (
            &[
                ("fromFeed", "Source feed.", false),
                ("toFeed", "Target feed.", false),
                ("group", "Scope or group.", false),
                ("package", "Package name.", false),
                ("version", "Version.", false),
            ],
            Nothing,
            Array("PromotedPackage"),
        ),
        "listFeeds" => (&[], Nothing, Array("FeedObject")),
        "getFeed" => (&[], Nothing, Object("FeedObject")),
        "createFeed" | "updateFeed" => (&[], Object("FeedObject"), Object("FeedObject")),
        "setFeedSecret" => (&[], Bytes, Nothing),
        "getStorage" => {
            (&[("feed", "Name of a feed; without it, the kinds of storage.", false)], Nothing, Json)
        }
        "setStorage" => {
            (&[("feed", "Name of the feed.", true)], Object("StorageConfiguration"), Nothing)
        }
        "listConnectors" | "getOpenApiDocument" => (&[], Nothing, Json),
        "listApiKeys" => (&[], Nothing, Array("ApiKeyInfo")),
        "createApiKey" => (&[], Object("ApiKeyInfo"), Object("ApiKeyInfo")),
        "deleteApiKey" => (&[("id", "Number of the key.", true)], Nothing, Nothing),
        "listSettings" => (
            &[("showAll", "`true` for unknown settings too.", false)],
            Nothing,
            Array("SettingInfo"),
        ),
        "setSetting" => (
            &[
                ("name", "Name of the setting, unless the body has it.", false),
                ("value", "Its value; absent or empty for the default.", false),
            ],
            Fields("SettingInput"),
            Nothing,
        ),
        "getHealth" | "getHealthAsJson" => {
            (&[("format", "`text` for one word.", false)], Nothing, Object("HealthInfo"))
        }
        "getFeedSecret" | "getMetrics" | "getLiveness" | "getReadiness" => (&[], Nothing, Text),
        "listAuditLog" => (
            &[
                ("feed", "Only this feed, as source or target.", false),
                ("group", "Only this scope or group.", false),
                ("package", "Only this package; a group may stand before it, with a slash.", false),
                ("actor", "Only what this user or key did.", false),
                ("action", "Only this action, such as `upload`.", false),
                ("since", "Only from this time on.", false),
                ("until", "Only before this time.", false),
                ("before", "Only entries with a lower number: `next` of the page before.", false),
                ("after", "Only entries with a higher number, oldest first.", false),
                ("count", "Entries of a page, 1 to 1,000; 100 if absent.", false),
            ],
            Nothing,
            Object("AuditLogPage"),
        ),
        "verifyAuditLog" => (
            &[
                ("row", "Number of an entry whose chain value was noted.", false),
                ("chain", "That chain value, 64 hexadecimal digits.", false),
            ],
            Nothing,
            Object("AuditLogCheck"),
        ),
        // Deletes and what is always refused.
        _ => (&[], Nothing, Nothing),
    };
    Shape { query, body, answer }
}

fn http_method(method: &str) -> HttpMethod {
    match method {
        "POST" => HttpMethod::Post,
        "PUT" => HttpMethod::Put,
        "PATCH" => HttpMethod::Patch,
        "DELETE" => HttpMethod::Delete,
        _ => HttpMethod::Get,
    }
}

fn operation(endpoint: &Endpoint, method: &str, documented: bool) -> Operation {
    let shape = shape(endpoint);
    let id = if documented {
        endpoint.id.to_owned()
    } else {
        // Ids are unique; the other methods are there for older clients and scripts.
        format!("{}By{}", endpoint.id, titled(method))
    };
    let mut operation = OperationBuilder::new()
        .operation_id(Some(id))
        .tag(tag(endpoint.path))
        .summary(Some(endpoint.summary))
        .request_body(request_body(shape.body))
        .response("200", answer(shape.answer));
    for name in endpoint.path.split('{').skip(1).filter_map(|rest| rest.split('}').next()) {
        let parameter = ParameterBuilder::new()
            .name(name)
            .parameter_in(ParameterIn::Path)
            .required(Required::True)
            .schema(Some(text()));
        operation = operation.parameter(parameter);
    }
    for (name, description, required) in shape.query {
        let parameter = ParameterBuilder::new()
            .name(*name)
            .parameter_in(ParameterIn::Query)
            .description(Some(*description))
            .required(if *required { Required::True } else { Required::False })
            .schema(Some(text()));
        operation = operation.parameter(parameter);
    }
    for (status, description) in failures(endpoint) {
        operation = operation.response(status, failure(description));
    }
    if !matches!(endpoint.guard, Guard::Open) {
        for scheme in ["key", "keyInQuery", "basic"] {
            operation = operation.security(SecurityRequirement::new(scheme, [""; 0]));
        }
    }
    operation.build()
}

fn titled(method: &str) -> String {
    let mut letters = method.chars();
    let first = letters.next().into_iter();
    first.chain(letters.map(|letter| letter.to_ascii_lowercase())).collect()
}

fn tag(path: &str) -> &'static str {
    match path.trim_start_matches("/api/").split('/').next() {
        Some("packages" | "promotions" | "repackaging") => "packages",
        Some("management" | "storage") => "feeds",
        Some("api-keys") => "keys",
        _ => "server",
    }
}

fn failures(endpoint: &Endpoint) -> Vec<(&'static str, &'static str)> {
    let mut failures = Vec::new();
    if !matches!(endpoint.guard, Guard::Open) {
        failures.push(("400", "The request is malformed or ambiguous."));
        failures.push(("403", "The credential does not allow it."));
        failures.push(("404", "There is no such feed, package or key."));
    }
    if matches!(endpoint.guard, Guard::VisibleToKnown) {
        failures.push(("401", "There is no credential."));
    }
    if matches!(shape(endpoint).body, Carried::Bytes | Carried::Object(_) | Carried::Fields(_)) {
        failures.push(("408", "The body did not arrive in time."));
        failures.push(("413", "The body is too large."));
    }
    if endpoint.id == "getReadiness" {
        failures.push(("503", "Requests had better go elsewhere; the text says why."));
    }
    failures.push(("500", "The server failed; its log has the cause."));
    failures
}

fn failure(description: &str) -> Response {
    let content = Content::new(Some(text()));
    ResponseBuilder::new().description(description).content("text/plain", content).build()
}

fn request_body(carried: Carried) -> Option<RequestBody> {
    let body = RequestBodyBuilder::new().required(Some(Required::True));
    let body = match carried {
        Carried::Object(name) => body.content("application/json", content(schema(name))),
        Carried::Fields(name) => body
            .content("application/json", content(schema(name)))
            .content("application/x-www-form-urlencoded", content(schema(name))),
        Carried::Bytes => body.content("application/octet-stream", content(bytes())),
        Carried::Nothing | Carried::Array(_) | Carried::Text | Carried::Json => return None,
    };
    Some(body.build())
}

fn answer(carried: Carried) -> Response {
    let answer = ResponseBuilder::new().description("Done.");
    let answer = match carried {
        Carried::Nothing => answer,
        Carried::Object(name) | Carried::Fields(name) => {
            answer.content("application/json", content(schema(name)))
        }
        Carried::Array(name) => {
            let array: Array = ArrayBuilder::new().items(Ref::from_schema_name(name)).build();
            answer.content("application/json", content(Schema::Array(array).into()))
        }
        Carried::Bytes => answer.content("application/octet-stream", content(bytes())),
        Carried::Text => answer.content("text/plain", content(text().into())),
        Carried::Json => answer.content("application/json", Content::default()),
    };
    answer.build()
}

fn content(schema: RefOr<Schema>) -> Content {
    Content::new(Some(schema))
}

fn schema(name: &str) -> RefOr<Schema> {
    Ref::from_schema_name(name).into()
}

fn text() -> Schema {
    ObjectBuilder::new().schema_type(SchemaType::new(Type::String)).build().into()
}

fn bytes() -> RefOr<Schema> {
    let bytes = ObjectBuilder::new()
        .schema_type(SchemaType::new(Type::String))
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Binary)));
    Schema::from(bytes.build()).into()
}

fn components() -> Components {
    let mut schemas = Schemas::default();
    schemas.add::<wire::ApiKeyInfo>();
    schemas.add::<wire::AuditLogCheck>();
    schemas.add::<wire::AuditLogPage>();
    schemas.add::<wire::AuditResult>();
    schemas.add::<wire::FeedInfo>();
    schemas.add::<wire::FeedObject>();
    schemas.add::<wire::HealthInfo>();
    schemas.add::<wire::PackageHistory>();
    schemas.add::<wire::PackageMetadata>();
    schemas.add::<wire::PackageStatus>();
    schemas.add::<wire::PackageVersionInfo>();
    schemas.add::<wire::PromoteInput>();
    schemas.add::<wire::PromotedPackage>();
    schemas.add::<wire::Published>();
    schemas.add::<wire::RepackageInput>();
    schemas.add::<wire::RetentionRule>();
    schemas.add::<wire::SettingInfo>();
    schemas.add::<wire::SettingInput>();
    schemas.add::<wire::StorageConfiguration>();
    schemas.add::<wire::StorageType>();
    let key = |name: &str| ApiKeyValue::new(name);
    ComponentsBuilder::new()
        .schemas_from_iter(schemas.0)
        .security_scheme("key", SecurityScheme::ApiKey(ApiKey::Header(key("X-ApiKey"))))
        .security_scheme("keyInQuery", SecurityScheme::ApiKey(ApiKey::Query(key("key"))))
        .security_scheme("basic", SecurityScheme::Http(Http::new(HttpAuthScheme::Basic)))
        .build()
}

/// Schemas by name, with those that they refer to.
#[derive(Default)]
struct Schemas(BTreeMap<String, RefOr<Schema>>);

impl Schemas {
    fn add<T: ToSchema>(&mut self) {
        let mut inner = Vec::new();
        T::schemas(&mut inner);
        self.0.extend(inner);
        self.0.insert(T::name().into_owned(), T::schema());
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    #[test]
    fn every_reference_leads_to_a_schema() {
        let text = openapi();
        let document: Value = serde_json::from_str(&text).unwrap();
        let schemas = document["components"]["schemas"].as_object().unwrap();
        let start = "#/components/schemas/";
        let named: BTreeSet<&str> =
            text.split('"').filter_map(|part| part.strip_prefix(start)).collect();
        assert!(named.len() > 10);
        for name in named {
            assert!(schemas.contains_key(name), "{name}");
        }
    }

    #[test]
    fn the_document_names_no_type_of_feed() {
        let text = openapi().to_lowercase();
        let types = hayloft::feed_types();
        let tags: Vec<&str> = types.iter().map(|feed_type| feed_type.tag()).collect();
        assert!(tags.len() > 1);
        for tag in tags {
            assert!(!text.contains(tag), "{tag}");
        }
    }

    #[test]
    fn ids_of_operations_are_unique() {
        let document: Value = serde_json::from_str(&openapi()).unwrap();
        let mut ids = BTreeSet::new();
        for item in document["paths"].as_object().unwrap().values() {
            for operation in item.as_object().unwrap().values() {
                let id = operation["operationId"].as_str().unwrap();
                assert!(ids.insert(id.to_owned()), "{id}");
            }
        }
        let expected: usize = ENDPOINTS.iter().map(|endpoint| endpoint.methods.len()).sum();
        assert_eq!(ids.len(), expected);
    }
}
