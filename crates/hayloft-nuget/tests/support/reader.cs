using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Security.Cryptography;
using System.Text;
using System.Threading;
using NuGet.Common;
using NuGet.Packaging;
static class Program {
    static string Sum(Stream content) {
        using (var sha1 = SHA1.Create())
            return BitConverter.ToString(sha1.ComputeHash(content)).Replace("-", "").ToLowerInvariant();
    }
    static void Read(string path, string target, TextWriter output) {
        using (var reader = new PackageArchiveReader(File.OpenRead(path), false)) {
            var identity = reader.GetIdentity();
            var nuspec = reader.GetNuspecFile();
            string sum;
            using (var content = reader.GetNuspec()) sum = Sum(content);
            var lines = new List<string> { "package\t" + identity.Id + "\t" + identity.Version.ToFullString() + "\t" + nuspec + "\t" + sum };
            var files = reader.GetFiles().Where(file => !file.EndsWith("/") && !file.EndsWith("\\"));
            reader.CopyFiles(target, files, (source, place, content) => {
                lines.Add("file\t" + place.Substring(target.Length) + "\t" + Sum(content));
                return null;
            }, NullLogger.Instance, CancellationToken.None);
            foreach (var line in lines) output.WriteLine(line);
        }
    }
    static void Main() {
        var input = new StreamReader(Console.OpenStandardInput(), new UTF8Encoding(false));
        var output = new StreamWriter(Console.OpenStandardOutput(), new UTF8Encoding(false));
        string line;
        while ((line = input.ReadLine()) != null) {
            try { Read(line, "/target/", output); }
            catch (Exception error) {
                var inner = error;
                output.WriteLine("error\t" + inner.GetType().Name + ": " + inner.Message.Replace("\r", " ").Replace("\n", " "));
            }
            output.WriteLine("end");
        }
        output.Flush();
    }
}
