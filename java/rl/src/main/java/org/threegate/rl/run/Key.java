package org.threegate.rl.run;

import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;

/**
 * Describes a key of a configuration. The key itself is the name of the record component in snake
 * case. The printed example and the table of the documentation follow from these descriptions.
 */
@Retention(RetentionPolicy.RUNTIME)
@Target(ElementType.RECORD_COMPONENT)
@interface Key {
  /** The default value in YAML. */
  String standard() default "";

  /** The meaning of the key, in one or two sentences. */
  String meaning();

  /** The name of the key in TRL where it differs, or the difference in meaning. */
  String trl() default "";

  /** Whether the key may change when a run is resumed. */
  boolean mayChange() default false;

  /** Whether an {@code algorithm} sets the key, where the key is not given. */
  boolean byAlgorithm() default false;
}
