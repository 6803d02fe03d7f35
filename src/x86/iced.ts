/**
 * The parts of iced-x86 that the instruction decoder uses. instruction.ts loads this module on first
 * need.
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
