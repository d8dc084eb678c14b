package org.threegate.rl.run;

import java.net.URI;
import java.util.Map;
import org.threegate.checkpoint.NamePattern;
import org.threegate.rl.environment.EnvironmentSource;
import org.threegate.rl.observe.MlflowTarget;
import org.threegate.rl.verifier.RewardSource;
import org.threegate.run.InvalidInputException;

/** Checks the ranges of values. Errors name the key of the value. */
final class Limits {
  private Limits() {}

  /** Signals that a value is out of the range of its key. */
  static final class Exceeded extends IllegalArgumentException {
    private static final long serialVersionUID = 1L;

    private final String key;

    private Exceeded(String key, String message) {
      super(message);
      this.key = key;
    }

    String key() {
      return key;
    }
  }

  /**
   * Requires that a condition holds.
   *
   * @param wanted what the value must be
   */
  static void require(boolean holds, String key, Object value, String wanted) {
    if (!holds) {
      throw new Exceeded(key, key + " is " + value + "; it must be " + wanted);
    }
  }

  static void least(String key, long value, long least) {
    require(value >= least, key, value, least + " or more");
  }

  static void within(String key, long value, long least, long most) {
    require(value >= least && value <= most, key, value, least + " to " + most);
  }

  static void within(String key, double value, double least, double most) {
    require(value >= least && value <= most, key, value, least + " to " + most);
  }

  static void positive(String key, double value) {
    require(value > 0 && Double.isFinite(value), key, value, "above 0 and finite");
  }

  static void notNegative(String key, double value) {
    require(value >= 0 && Double.isFinite(value), key, value, "0 or more, and finite");
  }

  /** Requires a value above 0 and at most 1. */
  static void share(String key, double value) {
    require(value > 0 && value <= 1, key, value, "above 0 and at most 1");
  }

  /** Requires a value from 0 to below 1. */
  static void decay(String key, double value) {
    require(value >= 0 && value < 1, key, value, "0 or more, and below 1");
  }

  /** Requires a reward function. */
  static RewardSource reward(String key, String text) {
    try {
      return RewardSource.of(text);
    } catch (IllegalArgumentException e) {
      throw new Exceeded(key, key + ": " + e.getMessage());
    }
  }

  /** Requires the address of an MLflow server. */
  static void server(String key, URI address) {
    try {
      new MlflowTarget(address, "", "", Map.of());
    } catch (IllegalArgumentException e) {
      throw new Exceeded(key, key + ": " + e.getMessage());
    }
  }

  /** Requires an environment. */
  static EnvironmentSource environment(String key, String text) {
    try {
      return EnvironmentSource.of(text);
    } catch (IllegalArgumentException e) {
      throw new Exceeded(key, key + ": " + e.getMessage());
    }
  }

  /** Requires a regular expression. */
  static void pattern(String key, String regex) {
    try {
      NamePattern.of(regex, key);
    } catch (InvalidInputException e) {
      throw new Exceeded(key, e.getMessage());
    }
  }
}
