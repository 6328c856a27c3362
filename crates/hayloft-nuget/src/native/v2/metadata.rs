use super::atom::escaped;

/// The list of collections.
pub(crate) fn service(feed_url: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><service xml:base=\"{}/v2\" \
         xmlns=\"http://www.w3.org/2007/app\" xmlns:atom=\"http://www.w3.org/2005/Atom\">\
         <workspace><atom:title type=\"text\">Default</atom:title><collection href=\"Packages\">\
         <atom:title type=\"text\">Packages</atom:title></collection></workspace></service>",
        escaped(feed_url)
    )
}

/// The schema. Without `Search` clients do not search, and without `IsAbsoluteLatestVersion` they
/// list stable versions only.
pub(crate) const METADATA: &str = r#"<?xml version="1.0" encoding="utf-8"?>
<edmx:Edmx Version="1.0" xmlns:edmx="http://schemas.microsoft.com/ado/2007/06/edmx">
<edmx:DataServices m:DataServiceVersion="2.0" m:MaxDataServiceVersion="2.0" xmlns:m="http://schemas.microsoft.com/ado/2007/08/dataservices/metadata">
<Schema Namespace="NuGetGallery.OData" xmlns="http://schemas.microsoft.com/ado/2006/04/edm">
<EntityType Name="V2FeedPackage" m:HasStream="true">
<Key><PropertyRef Name="Id"/><PropertyRef Name="Version"/></Key>
<Property Name="Id" Type="Edm.String" Nullable="false"/>
<Property Name="Version" Type="Edm.String" Nullable="false"/>
<Property Name="NormalizedVersion" Type="Edm.String"/>
<Property Name="Title" Type="Edm.String"/>
<Property Name="Authors" Type="Edm.String"/>
<Property Name="Description" Type="Edm.String"/>
<Property Name="Summary" Type="Edm.String"/>
<Property Name="Tags" Type="Edm.String"/>
<Property Name="Language" Type="Edm.String"/>
<Property Name="MinClientVersion" Type="Edm.String"/>
<Property Name="IconUrl" Type="Edm.String"/>
<Property Name="LicenseUrl" Type="Edm.String"/>
<Property Name="ProjectUrl" Type="Edm.String"/>
<Property Name="RequireLicenseAcceptance" Type="Edm.Boolean" Nullable="false"/>
<Property Name="DevelopmentDependency" Type="Edm.Boolean" Nullable="false"/>
<Property Name="Dependencies" Type="Edm.String"/>
<Property Name="Created" Type="Edm.DateTime" Nullable="false"/>
<Property Name="LastUpdated" Type="Edm.DateTime" Nullable="false"/>
<Property Name="Published" Type="Edm.DateTime" Nullable="false"/>
<Property Name="Listed" Type="Edm.Boolean" Nullable="false"/>
<Property Name="IsPrerelease" Type="Edm.Boolean" Nullable="false"/>
<Property Name="IsLatestVersion" Type="Edm.Boolean" Nullable="false"/>
<Property Name="IsAbsoluteLatestVersion" Type="Edm.Boolean" Nullable="false"/>
<Property Name="DownloadCount" Type="Edm.Int64" Nullable="false"/>
<Property Name="VersionDownloadCount" Type="Edm.Int64" Nullable="false"/>
<Property Name="PackageHash" Type="Edm.String"/>
<Property Name="PackageHashAlgorithm" Type="Edm.String"/>
<Property Name="PackageSize" Type="Edm.Int64" Nullable="false"/>
</EntityType>
<EntityContainer Name="V2FeedContext" m:IsDefaultEntityContainer="true">
<EntitySet Name="Packages" EntityType="NuGetGallery.OData.V2FeedPackage"/>
<FunctionImport Name="Search" ReturnType="Collection(NuGetGallery.OData.V2FeedPackage)" EntitySet="Packages" m:HttpMethod="GET">
<Parameter Name="searchTerm" Type="Edm.String"/>
<Parameter Name="targetFramework" Type="Edm.String"/>
<Parameter Name="includePrerelease" Type="Edm.Boolean" Nullable="false"/>
<Parameter Name="semVerLevel" Type="Edm.String"/>
</FunctionImport>
<FunctionImport Name="FindPackagesById" ReturnType="Collection(NuGetGallery.OData.V2FeedPackage)" EntitySet="Packages" m:HttpMethod="GET">
<Parameter Name="id" Type="Edm.String"/>
<Parameter Name="semVerLevel" Type="Edm.String"/>
</FunctionImport>
<FunctionImport Name="GetUpdates" ReturnType="Collection(NuGetGallery.OData.V2FeedPackage)" EntitySet="Packages" m:HttpMethod="GET">
<Parameter Name="packageIds" Type="Edm.String"/>
<Parameter Name="versions" Type="Edm.String"/>
<Parameter Name="includePrerelease" Type="Edm.Boolean" Nullable="false"/>
<Parameter Name="includeAllVersions" Type="Edm.Boolean" Nullable="false"/>
<Parameter Name="targetFrameworks" Type="Edm.String"/>
<Parameter Name="versionConstraints" Type="Edm.String"/>
<Parameter Name="semVerLevel" Type="Edm.String"/>
</FunctionImport>
</EntityContainer>
</Schema>
</edmx:DataServices>
</edmx:Edmx>
"#;
