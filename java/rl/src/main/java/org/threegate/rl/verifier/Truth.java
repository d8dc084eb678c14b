package org.threegate.rl.verifier;

/** An answer to a question that may be undecidable, or too expensive to decide. */
enum Truth {
  YES,
  NO,
  UNKNOWN;

  static Truth of(boolean value) {
    return value ? YES : NO;
  }

  Truth and(Truth other) {
    if (this == NO || other == NO) {
      return NO;
    }
    return this == YES ? other : UNKNOWN;
  }

  Truth or(Truth other) {
    if (this == YES || other == YES) {
      return YES;
    }
    return this == NO ? other : UNKNOWN;
  }

  /** Returns this, with a proof of the contrary taken for no proof. */
  Truth unlessNo() {
    return this == NO ? UNKNOWN : this;
  }
}
