/**
 * The 8042 keyboard controller without a keyboard or a mouse: what resets a PC
 * and opens its A20 gate, and enough of the rest that a driver finds a
 * controller with nothing plugged in (IBM PC/AT Technical Reference, keyboard
 * controller).
 *
 * @module
 */

import type { A20Gate } from "./a20_gate.ts";
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
const DISABLE_A20 = 0xdd;
const ENABLE_A20 = 0xdf;
/** From here on, a command pulses the output lines whose bits are 0. */
const PULSE = 0xf0;
/** Answers. */
const SELF_TEST_OK = 0x55;
const NO_FAULT = 0x00;
const CLOCK_STUCK_LOW = 0x01;
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
    read: () => this.#takeAnswer(),
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
  #answer = 0;
  #hasAnswer = false;
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
      (this.#hasAnswer ? STATUS.outputFull : 0) |
      (this.#lastWasCommand ? STATUS.lastWasCommand : 0);
  }

  #command(command: number): void {
    this.#lastWasCommand = true;
    this.#awaiting = 0;
    switch (command) {
      case READ_CONFIGURATION:
        return this.#reply(this.#configuration);
      case WRITE_CONFIGURATION:
      case WRITE_OUTPUT_PORT:
        this.#awaiting = command;
        return;
      case DISABLE_MOUSE:
        this.#configuration |= MOUSE_OFF;
        return;
      case ENABLE_MOUSE:
        this.#configuration &= ~MOUSE_OFF;
        return;
      case TEST_MOUSE:
        return this.#reply(CLOCK_STUCK_LOW); // there is no second port
      case SELF_TEST:
        return this.#reply(SELF_TEST_OK);
      case TEST_KEYBOARD:
        return this.#reply(NO_FAULT);
      case DISABLE_KEYBOARD:
        this.#configuration |= KEYBOARD_OFF;
        return;
      case ENABLE_KEYBOARD:
        this.#configuration &= ~KEYBOARD_OFF;
        return;
      case READ_INPUT_PORT:
        return this.#reply(0);
      case READ_OUTPUT_PORT:
        return this.#reply(NOT_RESET | (this.a20.enabled ? A20 : 0));
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
    if (command === WRITE_CONFIGURATION) {
      this.#configuration = value;
      this.#update();
    } else if (command === WRITE_OUTPUT_PORT) {
      this.a20.enabled = (value & A20) !== 0;
      if (!(value & NOT_RESET)) this.onEvent({ kind: "reset" });
    }
    // Anything else is for the keyboard, and there is none to answer.
  }

  #reply(value: number): void {
    this.#answer = value;
    this.#hasAnswer = true;
    this.#update();
  }

  /** Further reads give the last byte again. */
  #takeAnswer(): number {
    this.#hasAnswer = false;
    this.#update();
    return this.#answer;
  }

  #update(): void {
    this.irq(this.#hasAnswer && (this.#configuration & KEYBOARD_INTERRUPT) !== 0);
  }
}
