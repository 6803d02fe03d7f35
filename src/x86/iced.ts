/**
 * The instruction decoder's package, as much of it as is used, in a module of its own, which is
 * loaded when it is needed.
 *
 * @module
 */

// By name: a bundler cannot tell what `*` stands for in a CommonJS package.
export {
  Decoder,
  DecoderError,
  DecoderOptions,
  Formatter,
  FormatterSyntax,
  InstructionInfoFactory,
  MemorySize,
  MemorySizeExt,
  Mnemonic,
  OpAccess,
  OpKind,
  Register,
  RegisterExt,
} from "iced-x86";
