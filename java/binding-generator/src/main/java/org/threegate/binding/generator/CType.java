package org.threegate.binding.generator;

/** A type of the header as it crosses the boundary. */
sealed interface CType {
  /** The type as C spells it. */
  String spelling();

  /**
   * A number that is passed by value.
   *
   * @param spelling {@code int32_t}, {@code int64_t}, {@code double} or a typedef of one of them
   * @param kind which of them it is
   */
  record Scalar(String spelling, Kind kind) implements CType {}

  /** An element of a character array. */
  record Character() implements CType {
    @Override
    public String spelling() {
      return "char";
    }
  }

  /**
   * An address.
   *
   * @param spelling for example {@code const tg_operand*}
   */
  record Pointer(String spelling) implements CType {}

  /**
   * A struct inside of a struct.
   *
   * @param spelling name of the struct
   * @param bytes size in bytes
   * @param alignment alignment in bytes
   */
  record Nested(String spelling, int bytes, int alignment) implements CType {}

  /** The numeric types of the interface and their Java types. */
  enum Kind {
    INT32("int32_t", "int", 4),
    INT64("int64_t", "long", 8),
    DOUBLE("double", "double", 8);

    final String c;
    final String java;
    final int bytes;

    Kind(String c, String java, int bytes) {
      this.c = c;
      this.java = java;
      this.bytes = bytes;
    }
  }

  /** Returns the Java type of a parameter or result. Addresses are longs. */
  default String java() {
    return this instanceof Scalar scalar ? scalar.kind().java : "long";
  }

  /** Size in bytes. */
  default int bytes() {
    if (this instanceof Scalar scalar) {
      return scalar.kind().bytes;
    }
    return this instanceof Nested nested ? nested.bytes : this instanceof Character ? 1 : 8;
  }

  /** Alignment in bytes. */
  default int alignment() {
    return this instanceof Nested nested ? nested.alignment : bytes();
  }
}
