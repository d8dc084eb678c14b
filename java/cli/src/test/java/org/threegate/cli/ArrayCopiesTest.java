package org.threegate.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import java.lang.reflect.Array;
import java.lang.reflect.Constructor;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Modifier;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.RecordComponent;
import java.lang.reflect.Type;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.threegate.testing.ArrayCopies;

/**
 * Tests that every public record of the analyses copies the arrays that go in and out. {@link
 * org.threegate.testing.ApiAttack} does so for the kernels.
 */
class ArrayCopiesTest {
  private static final int ATTEMPTS = 3000;
  private static final int[] LENGTHS = {1, 2, 3, 4, 15, 16, 32768};

  @Test
  void recordsShareNoArraysWithTheirCallers() throws ReflectiveOperationException {
    List<String> checked = new ArrayList<>();
    for (JavaClass found :
        new ClassFileImporter()
            .withImportOption(ImportOption.Predefined.DO_NOT_INCLUDE_TESTS)
            .importPackages("org.threegate.analysis")) {
      Class<?> type = found.reflect();
      if (type.isRecord() && isPublic(type) && hasArrays(type)) {
        List<Object> arrays = new ArrayList<>();
        Object made = new Maker(type, arrays).make();
        ArrayCopies.require(made, arrays);
        checked.add(type.getSimpleName());
      }
    }
    assertThat(checked).contains("KroneckerFactors", "Places", "Density");
    assertThat(checked.size()).isGreaterThan(15);
  }

  private static boolean isPublic(Class<?> type) {
    return Modifier.isPublic(type.getModifiers())
        && (type.getEnclosingClass() == null || isPublic(type.getEnclosingClass()));
  }

  private static boolean hasArrays(Class<?> type) {
    return Arrays.stream(type.getRecordComponents())
        .anyMatch(component -> component.getGenericType().getTypeName().contains("[]"));
  }

  /** Makes a record by trying sizes until its constructor accepts them. */
  private static final class Maker {
    private final Class<?> type;
    private final List<Object> arrays;
    private final Random random = new Random(1);

    Maker(Class<?> type, List<Object> arrays) {
      this.type = type;
      this.arrays = arrays;
    }

    Object make() throws ReflectiveOperationException {
      RuntimeException last = new IllegalStateException("not tried");
      for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        arrays.clear();
        try {
          return record(type, LENGTHS[random.nextInt(LENGTHS.length)]);
        } catch (InvocationTargetException e) {
          last = new IllegalStateException(e.getCause());
        }
      }
      throw new IllegalStateException("found no arguments for " + type, last);
    }

    private Object record(Class<?> record, int length) throws ReflectiveOperationException {
      RecordComponent[] components = record.getRecordComponents();
      Constructor<?> constructor =
          record.getDeclaredConstructor(
              Arrays.stream(components).map(RecordComponent::getType).toArray(Class<?>[]::new));
      Object[] arguments = new Object[components.length];
      for (int i = 0; i < arguments.length; i++) {
        arguments[i] = value(components[i].getGenericType(), length);
      }
      return constructor.newInstance(arguments);
    }

    private Object value(Type wanted, int length) throws ReflectiveOperationException {
      if (wanted instanceof ParameterizedType generic) {
        Type of = generic.getActualTypeArguments()[0];
        if (generic.getRawType() == Optional.class) {
          return Optional.ofNullable(value(of, length));
        }
        if (generic.getRawType() == Map.class) {
          return Map.of();
        }
        return Collections.nCopies(
            of.getTypeName().contains("[]") ? size(length) : 0, value(of, length));
      }
      Class<?> raw = (Class<?>) wanted;
      if (raw.isArray()) {
        return array(raw.getComponentType(), length);
      }
      if (raw.isEnum()) {
        return raw.getEnumConstants()[0];
      }
      if (raw == String.class) {
        return "name";
      }
      if (raw == OptionalInt.class) {
        return OptionalInt.empty();
      }
      if (raw == int.class) {
        return size(length);
      }
      if (raw == long.class) {
        return (long) size(length);
      }
      if (raw == double.class) {
        return 0.5;
      }
      if (raw == boolean.class) {
        return true;
      }
      return raw.isRecord() && hasArrays(raw) ? record(raw, length) : null;
    }

    private int size(int length) {
      return new int[] {0, 1, 2, length}[random.nextInt(4)];
    }

    private Object array(Class<?> component, int length) throws ReflectiveOperationException {
      int own = random.nextInt(3) == 0 ? Math.min(length, 16) * Math.min(length, 16) : length;
      Object array = Array.newInstance(component, random.nextInt(4) == 0 ? length + 1 : own);
      if (component.isArray()) {
        for (int i = 0; i < Array.getLength(array); i++) {
          Array.set(array, i, array(component.getComponentType(), Math.min(length, 16)));
        }
      } else {
        arrays.add(array);
      }
      return array;
    }
  }
}
