/** The part of the WebAssembly API that is used here: TypeScript keeps it in the browser's library, which we do not load. */
declare namespace WebAssembly {
  interface Module {
    readonly [Symbol.toStringTag]: "WebAssembly.Module"
  }
  interface Memory {
    readonly buffer: ArrayBuffer
  }
  class Instance {
    constructor(module: Module, imports: Record<string, Record<string, (...args: Array<never>) => number>>)
    readonly exports: Record<string, Memory | (() => void)>
  }
  const compile: (bytes: Uint8Array) => Promise<Module>
}
