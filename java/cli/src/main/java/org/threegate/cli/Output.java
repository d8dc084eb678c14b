package org.threegate.cli;

import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;

/** An option or a parameter that names what a command writes. */
@Retention(RetentionPolicy.RUNTIME)
@Target(ElementType.FIELD)
@interface Output {
  /** What may be there before. */
  enum Kind {
    /** A directory of results: none, an empty one, or results of threegate. */
    RESULTS,
    /** A file or a directory: none. */
    NEW,
    /** A mask: no file, or a mask. */
    MASK,
    /** A capture: no file, or a capture. */
    CAPTURE,
    /** A model that is changed. */
    IN_PLACE
  }

  Kind value();
}
