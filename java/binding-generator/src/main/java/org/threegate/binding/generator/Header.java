package org.threegate.binding.generator;

import java.util.List;

/**
 * The declarations of a header, in their order.
 *
 * @param constants the {@code #define} lines with a number
 * @param structs the structs with fields
 * @param functions the exported functions
 */
record Header(List<Constant> constants, List<Struct> structs, List<Function> functions) {
  Header {
    constants = List.copyOf(constants);
    structs = List.copyOf(structs);
    functions = List.copyOf(functions);
  }

  /**
   * A named number.
   *
   * @param comment the comment beside or above it; empty when there is none
   */
  record Constant(String name, int value, String comment) {}

  /**
   * A struct with its C layout.
   *
   * @param bytes size in bytes
   * @param alignment alignment in bytes
   */
  record Struct(String name, List<Field> fields, int bytes, int alignment, String comment) {
    Struct {
      fields = List.copyOf(fields);
    }
  }

  /**
   * A field of a struct.
   *
   * @param declaration declaration in C, for example {@code char cpu[96]}
   * @param offset offset in bytes from the beginning of the struct
   */
  record Field(String name, String declaration, int offset, String comment) {}

  /** A function with its parameters in order. */
  record Function(String name, CType.Scalar result, List<Parameter> parameters, String comment) {
    Function {
      parameters = List.copyOf(parameters);
    }
  }

  /** A parameter of a function. */
  record Parameter(String name, CType type) {}
}
