package org.threegate.testing;

import java.lang.reflect.Array;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/** Checks that an object shares no array with the caller: it copies what goes in and out. */
public final class ArrayCopies {
  private ArrayCopies() {}

  /**
   * Checks an object, and writes to arrays for that.
   *
   * @param object the object, which nothing else uses yet
   * @param given arrays that it was made from, or in whose presence it was made
   * @throws AssertionError if the object changes when a given or a returned array changes
   */
  public static void require(Object object, List<Object> given) {
    for (Method method : object.getClass().getMethods()) {
      if (method.getParameterCount() == 0
          && !Modifier.isStatic(method.getModifiers())
          && method.getDeclaringClass().getName().startsWith("org.threegate.")
          && isAccessible(method)) {
        require(object, method, given);
      }
    }
  }

  private static boolean isAccessible(Method method) {
    return Modifier.isPublic(method.getDeclaringClass().getModifiers())
        && method.getGenericReturnType().getTypeName().contains("[]");
  }

  private static void require(Object object, Method method, List<Object> given) {
    try {
      Object before = method.invoke(object);
      String expected = text(before);
      List<Object> arrays = new ArrayList<>(given);
      arraysIn(before, arrays);
      arrays.forEach(ArrayCopies::change);
      String after = text(method.invoke(object));
      if (!after.equals(expected)) {
        throw new AssertionError(method + " returned " + expected + ", then " + after);
      }
    } catch (InvocationTargetException e) {
      // The object is closed, or its answer does not fit into an array.
      return;
    } catch (IllegalAccessException e) {
      throw new IllegalStateException(e);
    }
  }

  /** Collects the arrays in a value: itself, or within arrays, lists and optional values. */
  public static void arraysIn(Object value, List<Object> to) {
    if (value instanceof Optional<?> optional) {
      optional.ifPresent(inner -> arraysIn(inner, to));
    } else if (value instanceof List<?> list) {
      list.forEach(inner -> arraysIn(inner, to));
    } else if (value instanceof Object[] array) {
      Arrays.stream(array).forEach(inner -> arraysIn(inner, to));
    } else if (value != null && value.getClass().isArray()) {
      to.add(value);
    }
  }

  private static void change(Object array) {
    for (int i = 0; i < Math.min(Array.getLength(array), 1); i++) {
      Object old = Array.get(array, i);
      if (array instanceof double[] values) {
        values[i] = -values[i] - 1;
      } else if (array instanceof float[] values) {
        values[i] = -values[i] - 1;
      } else if (array instanceof boolean[] values) {
        values[i] = !values[i];
      } else if (array instanceof long[] values) {
        values[i] = ~values[i];
      } else if (array instanceof int[] values) {
        values[i] = ~values[i];
      } else if (array instanceof short[] values) {
        values[i] = (short) ~values[i];
      } else if (array instanceof byte[] values) {
        values[i] = (byte) ~values[i];
      } else {
        throw new IllegalStateException("an array with " + old);
      }
    }
  }

  /** Returns the beginning of every array in a value. */
  private static String text(Object value) {
    List<Object> arrays = new ArrayList<>();
    arraysIn(value, arrays);
    StringBuilder text = new StringBuilder();
    for (Object array : arrays) {
      int length = Array.getLength(array);
      text.append(length).append(':').append(length > 0 ? Array.get(array, 0) : "").append(' ');
    }
    return text.toString();
  }
}
