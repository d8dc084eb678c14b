package org.threegate.analysis.journal;

import java.lang.reflect.RecordComponent;
import java.util.Arrays;
import java.util.Collection;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.OptionalLong;

/** Validates records that were read from a file or received from another machine. */
final class RecordCheck {
  private RecordCheck() {}

  /**
   * Returns whether a value contains no null and no negative integer. All integers in these records
   * are counts.
   */
  static boolean isSound(Object value) {
    if (value == null) {
      return false;
    }
    if (value instanceof Record) {
      return Arrays.stream(value.getClass().getRecordComponents())
          .allMatch(component -> isSound(component(value, component)));
    }
    if (value instanceof Optional<?> optional) {
      return optional.isEmpty() || isSound(optional.get());
    }
    if (value instanceof Collection<?> several) {
      return several.stream().allMatch(RecordCheck::isSound);
    }
    if (value instanceof Map<?, ?> named) {
      return isSound(named.keySet()) && isSound(named.values());
    }
    return !isNegative(value);
  }

  private static boolean isNegative(Object value) {
    if (value instanceof long[] counts) {
      return Arrays.stream(counts).anyMatch(count -> count < 0);
    }
    if (value instanceof int[] counts) {
      return Arrays.stream(counts).anyMatch(count -> count < 0);
    }
    if (value instanceof OptionalInt optional) {
      return optional.orElse(0) < 0;
    }
    if (value instanceof OptionalLong optional) {
      return optional.orElse(0) < 0;
    }
    return (value instanceof Long || value instanceof Integer) && ((Number) value).longValue() < 0;
  }

  private static Object component(Object owner, RecordComponent component) {
    try {
      component.getAccessor().setAccessible(true);
      return component.getAccessor().invoke(owner);
    } catch (ReflectiveOperationException e) {
      throw new IllegalStateException(e);
    }
  }
}
