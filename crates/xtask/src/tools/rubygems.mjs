// Copies RubyGems and Bundler out of a Ruby that is a WebAssembly module, to where an older Ruby of
// the system can load them: no registry of packages within reach of the tests has them otherwise.
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { WASI } from "node:wasi";
import { RubyVM } from "@ruby/wasm-wasi";

const [program, to] = process.argv.slice(2);
const wasi = new WASI({ version: "preview1" });
const { vm } = await RubyVM.instantiateModule({
  module: await WebAssembly.compile(await readFile(program)),
  wasip1: { wasiImport: wasi.wasiImport, initialize: (instance) => wasi.initialize(instance) },
});
// What Ruby writes itself ends Node, whose view of the module's memory is not renewed as it grows.
const names = vm.eval(`
  $library = Dir["/usr/local/lib/ruby/*"].find { |folder| File.exist?(folder + "/rubygems.rb") }
  files = lambda do |path|
    next [path] unless File.directory?($library + "/" + path)
    Dir.children($library + "/" + path).flat_map { |name| files.(path + "/" + name) }
  end
  %w[rubygems.rb rubygems bundler.rb bundler].flat_map { |path| files.(path) }.join("\\n")
`).toString().split("\n");
for (const name of names) {
  const text = vm.eval(`[File.binread($library + "/${name}")].pack("m0")`).toString();
  await mkdir(dirname(join(to, name)), { recursive: true });
  await writeFile(join(to, name), Buffer.from(text, "base64"));
}
