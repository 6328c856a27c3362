// Copies RubyGems and Bundler out of a Ruby that is a WebAssembly module, to where an older Ruby of
// the system can load them: no registry of packages within reach of the tests has them otherwise.
import { readFile } from "node:fs/promises";
import { WASI } from "node:wasi";
import { RubyVM } from "@ruby/wasm-wasi";

const [program, to] = process.argv.slice(2);
const wasi = new WASI({ version: "preview1", preopens: { "/to": to } });
const { vm } = await RubyVM.instantiateModule({
  module: await WebAssembly.compile(await readFile(program)),
  wasip1: { wasiImport: wasi.wasiImport, initialize: (instance) => wasi.initialize(instance) },
});
vm.eval(`
  library = Dir["/usr/local/lib/ruby/*"].find { |folder| File.exist?(folder + "/rubygems.rb") }
  copy = lambda do |from, to|
    next File.binwrite(to, File.binread(from)) unless File.directory?(from)
    Dir.mkdir(to)
    Dir.children(from).each { |name| copy.(from + "/" + name, to + "/" + name) }
  end
  %w[rubygems.rb rubygems bundler.rb bundler].each { |name| copy.("#{library}/#{name}", "/to/#{name}") }
`);
