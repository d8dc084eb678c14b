package org.threegate.rl.task;

import com.hubspot.jinjava.objects.collections.PyList;
import java.beans.FeatureDescriptor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Iterator;
import java.util.List;
import java.util.Locale;
import java.util.regex.Pattern;
import jinjava.javax.el.ELContext;
import jinjava.javax.el.ELResolver;
import jinjava.javax.el.MethodNotFoundException;

/** Methods of Python's strings that templates call; of all else this knows nothing. */
final class PythonStrings extends ELResolver {
  private static final String SPACE = " \t\n\r\f\u000b";

  @Override
  public Object invoke(
      ELContext context, Object base, Object method, Class<?>[] types, Object[] arguments) {
    if (!(base instanceof CharSequence)) {
      return null;
    }
    String text = base.toString();
    List<String> given = Arrays.stream(arguments).map(String::valueOf).toList();
    Object result =
        switch (String.valueOf(method)) {
          case "strip" -> strip(text, given, true, true);
          case "lstrip" -> strip(text, given, true, false);
          case "rstrip" -> strip(text, given, false, true);
          case "startswith" -> text.startsWith(given.get(0));
          case "endswith" -> text.endsWith(given.get(0));
          case "upper" -> text.toUpperCase(Locale.ROOT);
          case "lower" -> text.toLowerCase(Locale.ROOT);
          case "replace" -> text.replace(given.get(0), given.get(1));
          case "split" -> split(text, given);
          // Java's own methods are not for templates.
          default -> throw new MethodNotFoundException("a text has no method " + method);
        };
    context.setPropertyResolved(true);
    return result;
  }

  private static String strip(String text, List<String> given, boolean left, boolean right) {
    String stripped = given.isEmpty() ? SPACE : given.get(0);
    int begin = 0;
    int end = text.length();
    while (left && begin < end && stripped.indexOf(text.charAt(begin)) >= 0) {
      begin++;
    }
    while (right && end > begin && stripped.indexOf(text.charAt(end - 1)) >= 0) {
      end--;
    }
    return text.substring(begin, end);
  }

  private static PyList split(String text, List<String> given) {
    String[] parts =
        given.isEmpty()
            ? strip(text, given, true, true).split("\\s+")
            : text.split(Pattern.quote(given.get(0)), -1);
    return new PyList(new ArrayList<>(Arrays.asList(parts)));
  }

  @Override
  public Object getValue(ELContext context, Object base, Object property) {
    return null;
  }

  @Override
  public Class<?> getType(ELContext context, Object base, Object property) {
    return null;
  }

  @Override
  public void setValue(ELContext context, Object base, Object property, Object value) {}

  @Override
  public boolean isReadOnly(ELContext context, Object base, Object property) {
    return true;
  }

  @Override
  public Iterator<FeatureDescriptor> getFeatureDescriptors(ELContext context, Object base) {
    return Collections.emptyIterator();
  }

  @Override
  public Class<?> getCommonPropertyType(ELContext context, Object base) {
    return Object.class;
  }
}
