package org.threegate.binding.generator;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Parses the subset of C used in {@code threegate.h}: an include guard, constants, typedefs of
 * numbers, opaque structs, structs with explicit padding and functions. Everything else is refused
 * with its line, so that nothing is silently missing in Java.
 */
final class HeaderParser {
  private static final Pattern NAME = Pattern.compile("[a-z][a-z0-9]*(_[a-z0-9]+)*");
  private static final Pattern GUARD = Pattern.compile("#ifndef (\\w+)");
  private static final String INTEGER = "(?:0|[1-9][0-9]{0,9}|0x[0-9a-fA-F]{1,8})";
  private static final Pattern CONSTANT =
      Pattern.compile("#define (TG_[A-Z][A-Z0-9_]*) (?:(%1$s)|\\((-?%1$s)\\))".formatted(INTEGER));
  private static final int LONGEST_ARRAY = 1 << 16;

  /** Types that are allowed only behind pointers, in addition to structs and numbers. */
  private static final Set<String> ONLY_BEHIND_POINTERS =
      Set.of(
          "void",
          "char",
          "float",
          "int8_t",
          "uint8_t",
          "int16_t",
          "uint16_t",
          "uint32_t",
          "uint64_t");

  private final Cursor cursor;

  private final Map<String, CType.Kind> numbers = new HashMap<>();
  private final Map<String, Header.Struct> structs = new HashMap<>();
  private final Set<String> opaque = new HashSet<>();
  private final Set<String> typeNames = new HashSet<>();
  private final Set<String> functionNames = new HashSet<>();
  private final Map<String, Integer> values = new HashMap<>();

  private final List<Header.Constant> declaredConstants = new ArrayList<>();
  private final List<Header.Struct> declaredStructs = new ArrayList<>();
  private final List<Header.Function> declaredFunctions = new ArrayList<>();
  private int lastLineOfFunction = -1;

  private HeaderParser(String file, String text) {
    this.cursor = new Cursor(file, Lexer.tokens(file, text));
    for (CType.Kind kind : CType.Kind.values()) {
      numbers.put(kind.c, kind);
    }
  }

  /**
   * Reads a header.
   *
   * @param file name of the header, for messages
   * @param text content of the header
   * @throws HeaderException if it contains anything other than the constructs above
   */
  static Header parse(String file, String text) {
    HeaderParser parser = new HeaderParser(file, text);
    parser.header();
    return new Header(parser.declaredConstants, parser.declaredStructs, parser.declaredFunctions);
  }

  private void header() {
    Token first = cursor.take();
    Matcher guard = GUARD.matcher(first.text());
    if (!guard.matches()) {
      throw cursor.refused(
          first, "a header must begin with #ifndef and the name of its include guard");
    }
    cursor.directive("#define " + guard.group(1));
    while (!cursor.peek().text().equals("#endif")) {
      declaration();
    }
    cursor.take();
    if (cursor.peek().kind() != Token.Kind.END) {
      throw cursor.refused(cursor.peek(), "nothing may follow the #endif of the include guard");
    }
  }

  private void declaration() {
    Token token = cursor.peek();
    if (token.kind() == Token.Kind.DIRECTIVE) {
      preprocessor();
    } else if (token.is("typedef")) {
      typedef();
    } else if (token.is("TG_API")) {
      function();
    } else {
      throw cursor.refused(token, "a declaration must begin with #define, typedef or TG_API");
    }
  }

  private void preprocessor() {
    int at = cursor.position();
    Token directive = cursor.take();
    switch (directive.text()) {
      case "#include <stdint.h>" -> {}
      case "#if defined(__GNUC__)" -> {
        visibility();
        cursor.directive("#else");
        visibility();
        cursor.directive("#endif");
      }
      case "#ifdef __cplusplus" -> {
        if (cursor.peek().is("extern")) {
          cursor.expect("extern");
          cursor.expect("\"C\"");
          cursor.expect("{");
        } else {
          cursor.expect("}");
        }
        cursor.directive("#endif");
      }
      default -> constant(directive, at);
    }
  }

  /** The definition of {@code TG_API} for one family of compilers. */
  private void visibility() {
    Token token = cursor.take();
    if (!token.text().equals("#define TG_API") && !token.text().startsWith("#define TG_API ")) {
      throw cursor.refused(token, "only TG_API may depend on the compiler");
    }
  }

  private void constant(Token directive, int at) {
    Matcher matcher = CONSTANT.matcher(directive.text());
    if (!matcher.matches()) {
      throw cursor.refused(
          directive,
          "a preprocessor line must be #define TG_NAME and an integer, in parentheses if it is"
              + " negative; conditions are allowed only for the"
              + " include guard, TG_API and __cplusplus");
    }
    String name = matcher.group(1);
    long value = Long.decode(Objects.requireNonNullElse(matcher.group(2), matcher.group(3)));
    if (value != (int) value) {
      throw cursor.refused(directive, "the value must fit into int32_t");
    }
    if (values.put(name, (int) value) != null) {
      throw cursor.refused(directive, name + " is defined twice");
    }
    declaredConstants.add(new Header.Constant(name, (int) value, cursor.comment(at)));
  }

  private void typedef() {
    int at = cursor.position();
    cursor.expect("typedef");
    if (cursor.peek().is("struct")) {
      struct(at);
      return;
    }
    CType.Kind kind = numbers.get(cursor.peek().text());
    if (kind == null) {
      throw cursor.refused(
          cursor.peek(), "a typedef must name a struct, int32_t, int64_t or double");
    }
    cursor.take();
    numbers.put(newTypeName(), kind);
    cursor.expect(";");
  }

  private void struct(int at) {
    cursor.expect("struct");
    Token tag = name();
    if (!cursor.peek().is("{")) {
      requireSameName(tag, newTypeName());
      opaque.add(tag.text());
      cursor.expect(";");
      return;
    }
    cursor.expect("{");
    Layout layout = new Layout(tag.text());
    while (!cursor.peek().is("}")) {
      layout.add();
    }
    Token end = cursor.take();
    if (layout.fields.isEmpty()) {
      throw cursor.refused(end, "a struct must have fields");
    }
    layout.requireNoPadding(end, layout.alignment, "at the end");
    requireSameName(tag, newTypeName());
    cursor.expect(";");
    Header.Struct struct =
        new Header.Struct(
            tag.text(), layout.fields, layout.bytes, layout.alignment, cursor.commentAbove(at));
    structs.put(tag.text(), struct);
    declaredStructs.add(struct);
  }

  private void requireSameName(Token tag, String name) {
    if (!tag.text().equals(name)) {
      throw cursor.refused(
          tag, "a struct and its typedef must have the same name: struct " + name + " " + name);
    }
  }

  /** The fields of one struct. */
  private final class Layout {
    final List<Header.Field> fields = new ArrayList<>();
    int bytes;
    int alignment = 1;
    private final String struct;
    private final Set<String> names = new HashSet<>();

    Layout(String struct) {
      this.struct = struct;
    }

    void add() {
      int at = cursor.position();
      CType type = type(true);
      Token name = name();
      if (!names.add(name.text())) {
        throw cursor.refused(name, struct + " has this field twice");
      }
      int count = 1;
      String brackets = "";
      if (cursor.peek().is("[")) {
        count = arrayLength(type);
        brackets = "[" + count + "]";
      } else if (type instanceof CType.Character) {
        throw cursor.refused(name, "char is allowed only as the element of an array");
      }
      requireNoPadding(name, type.alignment(), "before the field " + name.text());
      cursor.expect(";");
      fields.add(
          new Header.Field(
              name.text(),
              type.spelling() + " " + name.text() + brackets,
              bytes,
              cursor.comment(at)));
      bytes += type.bytes() * count;
      alignment = Math.max(alignment, type.alignment());
    }

    /** Java and all compilers then agree on the layout, and no byte is left undefined. */
    void requireNoPadding(Token token, int required, String where) {
      if (bytes % required != 0) {
        throw cursor.refused(
            token,
            struct
                + " has "
                + (required - bytes % required)
                + " bytes of padding "
                + where
                + "; declare them as a reserved field");
      }
    }
  }

  private int arrayLength(CType type) {
    cursor.expect("[");
    Token length = cursor.take();
    if (!(type instanceof CType.Scalar) && !(type instanceof CType.Character)) {
      throw cursor.refused(length, "the elements of an array must be numbers or characters");
    }
    int count = 0;
    if (length.kind() == Token.Kind.NUMBER && length.text().matches("[1-9][0-9]{0,4}")) {
      count = Integer.parseInt(length.text());
    } else if (values.containsKey(length.text())) {
      count = values.get(length.text());
    }
    if (count < 1 || count > LONGEST_ARRAY) {
      throw cursor.refused(
          length,
          "the length of an array must be 1 to " + LONGEST_ARRAY + ", or a constant in this range");
    }
    cursor.expect("]");
    return count;
  }

  private void function() {
    int at = cursor.position();
    String above = cursor.commentAbove(at);
    if (above.isEmpty() && cursor.peek().line() == lastLineOfFunction + 1) {
      above = declaredFunctions.get(declaredFunctions.size() - 1).comment();
    }
    cursor.expect("TG_API");
    Token resultToken = cursor.peek();
    if (!(type(false) instanceof CType.Scalar result)) {
      throw cursor.refused(
          resultToken, "a function must return int32_t, int64_t, double or a typedef of them");
    }
    Token name = name();
    if (!name.text().startsWith("tg_")
        || !JavaNames.isFree(JavaNames.variable(name.text()))
        || !functionNames.add(JavaNames.variable(name.text()))) {
      throw cursor.refused(
          name,
          "a function needs a unique name that begins with tg_ and is no method of java.lang.Object");
    }
    cursor.expect("(");
    List<Header.Parameter> parameters = parameters();
    cursor.expect(")");
    lastLineOfFunction = cursor.peek().line();
    cursor.expect(";");
    declaredFunctions.add(new Header.Function(name.text(), result, parameters, above));
  }

  private List<Header.Parameter> parameters() {
    List<Header.Parameter> parameters = new ArrayList<>();
    if (cursor.peek().is("void") && cursor.peekSecond().is(")")) {
      cursor.take();
      return parameters;
    }
    Set<String> names = new HashSet<>();
    while (true) {
      CType type = type(false);
      Token name = name();
      if (!JavaNames.isFree(JavaNames.variable(name.text()))
          || !names.add(JavaNames.variable(name.text()))) {
        throw cursor.refused(
            name, "the name of a parameter must be unique and no method of java.lang.Object");
      }
      parameters.add(new Header.Parameter(name.text(), type));
      if (!cursor.peek().is(",")) {
        return parameters;
      }
      cursor.take();
    }
  }

  /**
   * A type, up to the name that follows it.
   *
   * @param isField whether structs and characters are allowed as they are, and not only behind
   *     pointers
   */
  private CType type(boolean isField) {
    Token first = cursor.peek();
    StringBuilder spelling = new StringBuilder();
    if (first.is("const")) {
      cursor.take();
      spelling.append("const ");
    }
    Token base = cursor.take();
    String name = base.text();
    boolean isNumber = numbers.containsKey(name);
    boolean isStruct = structs.containsKey(name);
    if (!isNumber && !isStruct && !opaque.contains(name) && !ONLY_BEHIND_POINTERS.contains(name)) {
      throw cursor.refused(base, "this type is not supported");
    }
    spelling.append(name);
    if (cursor.peek().is("*")) {
      pointers(spelling);
      return new CType.Pointer(spelling.toString());
    }
    if (first.is("const")) {
      throw cursor.refused(first, "const is allowed only for the target of a pointer");
    }
    if (isNumber) {
      return new CType.Scalar(name, numbers.get(name));
    }
    if (isField && isStruct) {
      Header.Struct struct = structs.get(name);
      return new CType.Nested(name, struct.bytes(), struct.alignment());
    }
    if (isField && name.equals("char")) {
      return new CType.Character();
    }
    throw cursor.refused(base, "this type is allowed only behind a pointer");
  }

  private void pointers(StringBuilder spelling) {
    while (cursor.peek().is("*")) {
      cursor.take();
      spelling.append('*');
      if (cursor.peek().is("const")) {
        cursor.take();
        spelling.append(" const");
      }
    }
  }

  /** The name of a field, a parameter or a function. */
  private Token name() {
    Token token = cursor.take();
    if (token.kind() != Token.Kind.WORD
        || !NAME.matcher(token.text()).matches()
        || JavaNames.isKeyword(token.text())) {
      throw cursor.refused(token, "expected a lower-case name");
    }
    return token;
  }

  private String newTypeName() {
    Token token = name();
    if (!token.text().startsWith("tg_")
        || !typeNames.add(JavaNames.type(token.text()))
        || numbers.containsKey(token.text())) {
      throw cursor.refused(token, "a type needs a unique name that begins with tg_");
    }
    return token.text();
  }
}
