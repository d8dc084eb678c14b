package org.threegate.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.tngtech.archunit.core.domain.Dependency;
import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;

/** No classes depend on each other in a ring. A nested class counts as its outermost one. */
class ClassRingsTest {
  @Test
  void noClassesDependOnEachOtherInARing() {
    JavaClasses classes =
        new ClassFileImporter()
            .withImportOption(ImportOption.Predefined.DO_NOT_INCLUDE_TESTS)
            .importPackages("org.threegate");
    assertThat(new Rings(dependencies(classes)).all()).isEmpty();
  }

  @Test
  void ringsAreFound() {
    Map<String, Set<String>> graph =
        Map.of(
            "a", Set.of("b", "d"),
            "b", Set.of("c"),
            "c", Set.of("a"),
            "d", Set.of("e"),
            "e", Set.of());
    assertThat(new Rings(graph).all()).containsExactly(List.of("a", "b", "c"));
  }

  private static Map<String, Set<String>> dependencies(JavaClasses classes) {
    Map<String, Set<String>> graph = new TreeMap<>();
    for (JavaClass type : classes) {
      Set<String> targets = graph.computeIfAbsent(outermost(type), name -> new TreeSet<>());
      for (Dependency dependency : type.getDirectDependenciesFromSelf()) {
        JavaClass target = dependency.getTargetClass().getBaseComponentType();
        if (target.getPackageName().startsWith("org.threegate")) {
          targets.add(outermost(target));
        }
      }
    }
    graph.forEach((name, targets) -> targets.remove(name));
    return graph;
  }

  private static String outermost(JavaClass type) {
    return type.getEnclosingClass().map(ClassRingsTest::outermost).orElse(type.getName());
  }

  /** Strongly connected components of more than one class (Tarjan). */
  private static final class Rings {
    private final Map<String, Set<String>> graph;
    private final Map<String, Integer> index = new HashMap<>();
    private final Map<String, Integer> lowest = new HashMap<>();
    private final Deque<String> open = new ArrayDeque<>();
    private final List<List<String>> rings = new ArrayList<>();

    Rings(Map<String, Set<String>> graph) {
      this.graph = graph;
    }

    List<List<String>> all() {
      graph.keySet().stream()
          .sorted()
          .filter(name -> !index.containsKey(name))
          .forEach(this::visit);
      return rings;
    }

    private void visit(String name) {
      index.put(name, index.size());
      lowest.put(name, index.get(name));
      open.push(name);
      for (String target : graph.getOrDefault(name, Set.of())) {
        if (!index.containsKey(target)) {
          visit(target);
          lowest.merge(name, lowest.get(target), Math::min);
        } else if (open.contains(target)) {
          lowest.merge(name, index.get(target), Math::min);
        }
      }
      if (lowest.get(name).equals(index.get(name))) {
        Set<String> component = new TreeSet<>();
        while (!component.contains(name)) {
          component.add(open.pop());
        }
        if (component.size() > 1) {
          rings.add(List.copyOf(component));
        }
      }
    }
  }
}
