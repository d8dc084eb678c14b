package org.threegate.cli;

import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;

/** Marks an option or a parameter that names an output. */
@Retention(RetentionPolicy.RUNTIME)
@Target(ElementType.FIELD)
@interface Output {
  /** What may exist at the path before the command runs. */
  enum Kind {
    /** A directory of results: nothing, an empty directory or results of Threegate. */
    RESULTS,
    /** A new file or directory: nothing. */
    NEW,
    /** A mask file: nothing or a mask. */
    MASK,
    /** A capture file: nothing or a capture. */
    CAPTURE,
    /** A model that the command changes. */
    IN_PLACE
  }

  Kind value();
}
