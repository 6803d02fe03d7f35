/**
 * The 8042 keyboard controller with a keyboard and no mouse: what resets a PC and
 * opens its A20 gate, and the way to the keyboard (IBM PC/AT Technical Reference,
 * keyboard controller).
 *
 * @module
 */

import type { A20Gate } from "./a20_gate.ts";
import { Ps2Keyboard } from "./ps2_keyboard.ts";
import type { Device, IrqSink, MachineEventSink } from "./device.ts";

/** Status register. */
const STATUS = { outputFull: 0x01, selfTestPassed: 0x04, lastWasCommand: 0x08, unlocked: 0x10 };
/** Controller commands. */
const READ_CONFIGURATION = 0x20;
const WRITE_CONFIGURATION = 0x60;
const DISABLE_MOUSE = 0xa7;
const ENABLE_MOUSE = 0xa8;
const TEST_MOUSE = 0xa9;
const SELF_TEST = 0xaa;
const TEST_KEYBOARD = 0xab;
const DISABLE_KEYBOARD = 0xad;
const ENABLE_KEYBOARD = 0xae;
const READ_INPUT_PORT = 0xc0;
const READ_OUTPUT_PORT = 0xd0;
const WRITE_OUTPUT_PORT = 0xd1;
const WRITE_KEYBOARD_OUTPUT = 0xd2;
const WRITE_MOUSE_OUTPUT = 0xd3;
const WRITE_MOUSE = 0xd4;
const DISABLE_A20 = 0xdd;
const ENABLE_A20 = 0xdf;
/** From here on, a command pulses the output lines whose bits are 0. */
const PULSE = 0xf0;
/** Answers. */
const SELF_TEST_OK = 0x55;
const NO_FAULT = 0x00;
const CLOCK_STUCK_LOW = 0x01;
/** How much the keyboard sends before it is read. */
const KEYBOARD_BUFFER_BYTES = 16;
/** Configuration. */
const KEYBOARD_INTERRUPT = 0x01;
const KEYBOARD_OFF = 0x10;
const MOUSE_OFF = 0x20;
/** Output port: the reset line is active when low. */
const NOT_RESET = 0x01;
const A20 = 0x02;

/** The controller, with a device for each of its two ports. */
export class I8042 {
  /** Behind port 0x60. */
  readonly data: Device = {
    name: "i8042",
    accessBytes: 1,
    read: () => this.#takeOutput(),
    write: (_offset, _sizeBytes, value) => this.#writeData(value),
  };
  /** Behind port 0x64. */
  readonly command: Device = {
    name: "i8042",
    accessBytes: 1,
    read: () => this.#status(),
    write: (_offset, _sizeBytes, value) => this.#command(value),
  };

  #configuration = KEYBOARD_OFF | MOUSE_OFF | STATUS.selfTestPassed;
  /** What the guest has to read: the controller's reply, before what the keyboard has sent. */
  #reply: number | undefined;
  readonly #sent: number[] = [];
  #lastRead = 0;
  readonly #keyboard = new Ps2Keyboard();
  /** The command that awaits its data byte; 0 if none does. */
  #awaiting = 0;
  #lastWasCommand = false;

  /** @param irq the keyboard's interrupt line */
  constructor(
    readonly a20: A20Gate,
    readonly onEvent: MachineEventSink,
    readonly irq: IrqSink = () => {},
  ) {}

  #status(): number {
    return STATUS.selfTestPassed | STATUS.unlocked |
      (this.#hasOutput ? STATUS.outputFull : 0) |
      (this.#lastWasCommand ? STATUS.lastWasCommand : 0);
  }

  #command(command: number): void {
    this.#lastWasCommand = true;
    this.#awaiting = 0;
    switch (command) {
      case READ_CONFIGURATION:
        return this.#replyWith(this.#configuration);
      case WRITE_CONFIGURATION:
      case WRITE_OUTPUT_PORT:
      case WRITE_KEYBOARD_OUTPUT:
      case WRITE_MOUSE_OUTPUT:
      case WRITE_MOUSE:
        this.#awaiting = command;
        return;
      case DISABLE_MOUSE:
        this.#configuration |= MOUSE_OFF;
        return;
      case ENABLE_MOUSE:
        this.#configuration &= ~MOUSE_OFF;
        return;
      case TEST_MOUSE:
        return this.#replyWith(CLOCK_STUCK_LOW); // there is no second port
      case SELF_TEST:
        return this.#replyWith(SELF_TEST_OK);
      case TEST_KEYBOARD:
        return this.#replyWith(NO_FAULT);
      case DISABLE_KEYBOARD:
        this.#configuration |= KEYBOARD_OFF;
        return;
      case ENABLE_KEYBOARD:
        this.#configuration &= ~KEYBOARD_OFF;
        return;
      case READ_INPUT_PORT:
        return this.#replyWith(0);
      case READ_OUTPUT_PORT:
        return this.#replyWith(NOT_RESET | (this.a20.enabled ? A20 : 0));
      case DISABLE_A20:
      case ENABLE_A20:
        this.a20.enabled = command === ENABLE_A20;
        return;
    }
    if (command >= PULSE && !(command & NOT_RESET)) this.onEvent({ kind: "reset" });
  }

  #writeData(value: number): void {
    this.#lastWasCommand = false;
    const command = this.#awaiting;
    this.#awaiting = 0;
    switch (command) {
      case WRITE_CONFIGURATION:
        this.#configuration = value;
        return this.#update();
      case WRITE_OUTPUT_PORT:
        this.a20.enabled = (value & A20) !== 0;
        if (!(value & NOT_RESET)) this.onEvent({ kind: "reset" });
        return;
      case WRITE_KEYBOARD_OUTPUT:
        return this.#send([value]);
      case WRITE_MOUSE_OUTPUT:
      case WRITE_MOUSE:
        return; // there is no mouse to answer
      default:
        this.#configuration &= ~KEYBOARD_OFF;
        return this.#send(this.#keyboard.receive(value));
    }
  }

  get #hasOutput(): boolean {
    return this.#reply !== undefined || this.#sent.length > 0;
  }

  #replyWith(value: number): void {
    this.#reply = value;
    this.#update();
  }

  /** What the keyboard sends, as far as its buffer has room. */
  #send(bytes: readonly number[]): void {
    this.#sent.push(...bytes.slice(0, KEYBOARD_BUFFER_BYTES - this.#sent.length));
    this.#update();
  }

  /** Further reads give the last byte again. */
  #takeOutput(): number {
    if (this.#reply !== undefined) {
      this.#lastRead = this.#reply;
      this.#reply = undefined;
    } else {
      this.#lastRead = this.#sent.shift() ?? this.#lastRead;
    }
    this.irq(false); // so that each byte makes an edge
    this.#update();
    return this.#lastRead;
  }

  #update(): void {
    this.irq(this.#hasOutput && (this.#configuration & KEYBOARD_INTERRUPT) !== 0);
  }
}
