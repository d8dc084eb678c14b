package org.threegate.rl.template;

import java.math.BigInteger;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.threegate.rl.template.Token.Kind;

/** A recursive descent parser for Jinja's grammar, with a bounded depth. */
final class Parser {
  private static final Set<String> COMPARISONS = Set.of("==", "!=", "<", "<=", ">", ">=");
  private static final Set<String> OF_MACROS = Set.of("varargs", "kwargs");

  private final List<Token> tokens;
  private final int deepest;
  private int position;
  private int depth;

  /** The number of open loops in the current macro. */
  private int loops;

  /** The names of {@link #OF_MACROS} that the innermost macro uses. */
  private Set<String> used = new HashSet<>();

  Parser(List<Token> tokens, int deepest) {
    this.tokens = tokens;
    this.deepest = deepest;
  }

  List<Statement> template() {
    return statements(Set.of());
  }

  private Token current() {
    return tokens.get(position);
  }

  private Token next() {
    Token token = current();
    position = Math.min(position + 1, tokens.size() - 1);
    return token;
  }

  private boolean isName(String name) {
    return current().is(Kind.NAME, name);
  }

  private boolean isOperator(String operator) {
    return current().is(Kind.OPERATOR, operator);
  }

  private boolean skip(Kind kind, String text) {
    boolean there = current().is(kind, text);
    if (there) {
      next();
    }
    return there;
  }

  private boolean skipName(String name) {
    return skip(Kind.NAME, name);
  }

  private boolean skipOperator(String operator) {
    return skip(Kind.OPERATOR, operator);
  }

  private TemplateException failure(String message) {
    return new TemplateException(message, current().line());
  }

  private TemplateException unexpected() {
    Token token = current();
    return failure(
        switch (token.kind()) {
          case END -> "the template ends too early";
          case STATEMENT_END, PRINT_END -> "an expression is missing at the end of a tag";
          default -> "unexpected \"" + token.text() + "\"";
        });
  }

  private Token expect(Kind kind) {
    if (current().kind() != kind) {
      throw unexpected();
    }
    return next();
  }

  private void expectOperator(String operator) {
    if (!skipOperator(operator)) {
      throw failure("\"" + operator + "\" is missing");
    }
  }

  private void expectName(String name) {
    if (!skipName(name)) {
      throw failure("\"" + name + "\" is missing");
    }
  }

  private void enter() {
    if (++depth > deepest) {
      throw failure("the template is nested deeper than " + deepest);
    }
  }

  private void leave() {
    depth--;
  }

  // Statements.

  /** Parses statements up to one of the names, which is not consumed. */
  private List<Statement> statements(Set<String> ends) {
    enter();
    List<Statement> statements = new ArrayList<>();
    while (true) {
      Token token = next();
      switch (token.kind()) {
        case DATA -> statements.add(new Statement.Data(token.line(), token.text()));
        case PRINT -> {
          statements.add(new Statement.Print(token.line(), List.of(tuple(true, Set.of()))));
          expect(Kind.PRINT_END);
        }
        case STATEMENT -> {
          if (current().kind() == Kind.NAME && ends.contains(current().text())) {
            leave();
            return statements;
          }
          statements.add(statement(token.line()));
          expect(Kind.STATEMENT_END);
        }
        default -> {
          if (!ends.isEmpty()) {
            throw failure("the template ends before " + String.join(" or ", ends));
          }
          return statements;
        }
      }
    }
  }

  private Statement statement(int line) {
    String name = expect(Kind.NAME).text();
    return switch (name) {
      case "if" -> branches(line);
      case "for" -> loop(line);
      case "set" -> assignment(line);
      case "with" -> with(line);
      case "macro" -> macro(line);
      case "call" -> callBlock(line);
      case "filter" -> filterBlock(line);
      case "generation" -> new Statement.Generation(line, function(() -> body("endgeneration")));
      case "print" -> new Statement.Print(line, printed());
      case "break", "continue" -> jump(line, name);
      default ->
          throw new TemplateException(
              "{% " + name + " %} is not a statement that chat templates may use", line);
    };
  }

  private List<Statement> body(String end) {
    List<Statement> body = body(Set.of(end));
    next();
    return body;
  }

  private List<Statement> body(Set<String> ends) {
    skipOperator(":");
    expect(Kind.STATEMENT_END);
    return statements(ends);
  }

  /** Parses a body in which {@code break} and {@code continue} do not refer to an outer loop. */
  private <T> T function(java.util.function.Supplier<T> parsed) {
    int outer = loops;
    loops = 0;
    T result = parsed.get();
    loops = outer;
    return result;
  }

  private Statement branches(int line) {
    List<Statement.Branch> branches = new ArrayList<>();
    while (true) {
      Expression condition = tuple(false, Set.of());
      branches.add(new Statement.Branch(condition, body(Set.of("elif", "else", "endif"))));
      String end = next().text();
      if (!end.equals("elif")) {
        List<Statement> otherwise = end.equals("else") ? body("endif") : List.of();
        return new Statement.If(line, branches, otherwise);
      }
    }
  }

  private Statement loop(int line) {
    Target target = target(false);
    expectName("in");
    Expression items = tuple(false, Set.of("recursive"));
    Optional<Expression> condition = skipName("if") ? Optional.of(expression()) : Optional.empty();
    boolean recursive = skipName("recursive");
    loops++;
    List<Statement> body = body(Set.of("endfor", "else"));
    loops--;
    List<Statement> otherwise = next().text().equals("else") ? body("endfor") : List.of();
    return new Statement.For(line, target, items, condition, recursive, body, otherwise);
  }

  private Statement jump(int line, String name) {
    if (loops == 0) {
      throw new TemplateException("{% " + name + " %} is outside of a loop", line);
    }
    return new Statement.Jump(
        line, name.equals("break") ? Statement.Flow.BREAK : Statement.Flow.CONTINUE);
  }

  private Statement assignment(int line) {
    Target target = target(true);
    if (skipOperator("=")) {
      return new Statement.Set(line, target, tuple(true, Set.of()));
    }
    List<Expression.FilterCall> filters = new ArrayList<>();
    while (skipOperator("|")) {
      filters.add(filterCall());
    }
    return new Statement.SetBlock(line, target, filters, body("endset"));
  }

  private Statement with(int line) {
    List<Target> targets = new ArrayList<>();
    List<Expression> values = new ArrayList<>();
    while (current().kind() != Kind.STATEMENT_END) {
      if (!targets.isEmpty()) {
        expectOperator(",");
      }
      targets.add(target(false));
      expectOperator("=");
      values.add(expression());
    }
    return new Statement.With(line, targets, values, body("endwith"));
  }

  private Statement macro(int line) {
    String name = expect(Kind.NAME).text();
    return new Statement.MacroDefinition(line, definition(name, "endmacro", parameters()));
  }

  private Statement callBlock(int line) {
    List<Macro.Parameter> parameters = isOperator("(") ? parameters() : List.of();
    if (!(expression() instanceof Expression.Call call)) {
      throw new TemplateException("{% call %} requires a call", line);
    }
    return new Statement.CallBlock(line, definition("caller", "endcall", parameters), call);
  }

  private Macro.Definition definition(String name, String end, List<Macro.Parameter> parameters) {
    Set<String> outer = used;
    used = new HashSet<>();
    List<Statement> body = function(() -> body(end));
    Macro.Definition definition =
        new Macro.Definition(
            name,
            parameters,
            used.contains("varargs"),
            used.contains("kwargs"),
            run -> Statement.body(run, body));
    used = outer;
    return definition;
  }

  private List<Macro.Parameter> parameters() {
    List<Macro.Parameter> parameters = new ArrayList<>();
    expectOperator("(");
    boolean optional = false;
    while (!isOperator(")")) {
      if (!parameters.isEmpty()) {
        expectOperator(",");
      }
      String name = expect(Kind.NAME).text();
      boolean own = skipOperator("=");
      if (optional && !own) {
        throw failure("parameter \"" + name + "\" has no default, and one before it has");
      }
      optional = own;
      parameters.add(new Macro.Parameter(name, own ? Optional.of(expression()) : Optional.empty()));
    }
    next();
    return parameters;
  }

  private Statement filterBlock(int line) {
    List<Expression.FilterCall> filters = new ArrayList<>();
    do {
      filters.add(filterCall());
    } while (skipOperator("|"));
    return new Statement.FilterBlock(line, filters, body("endfilter"));
  }

  private List<Expression> printed() {
    List<Expression> values = new ArrayList<>();
    do {
      values.add(expression());
    } while (skipOperator(","));
    return values;
  }

  private Target target(boolean attributes) {
    List<Target> targets = new ArrayList<>();
    boolean several = false;
    while (current().kind() == Kind.NAME && !isName("in") || isOperator("(")) {
      targets.add(oneTarget(attributes));
      if (!skipOperator(",")) {
        break;
      }
      several = true;
    }
    if (targets.isEmpty()) {
      throw unexpected();
    }
    return several ? new Target.Several(targets) : targets.get(0);
  }

  private Target oneTarget(boolean attributes) {
    if (skipOperator("(")) {
      enter();
      Target inner = target(attributes);
      expectOperator(")");
      leave();
      return inner;
    }
    String name = expect(Kind.NAME).text();
    return attributes && skipOperator(".")
        ? new Target.Attribute(name, expect(Kind.NAME).text())
        : new Target.Name(name);
  }

  // Expressions.

  private boolean isTupleEnd(Set<String> names) {
    Token token = current();
    return token.kind() == Kind.PRINT_END
        || token.kind() == Kind.STATEMENT_END
        || token.is(Kind.OPERATOR, ")")
        || token.kind() == Kind.NAME && names.contains(token.text());
  }

  /** Parses one expression, or a tuple without brackets. */
  private Expression tuple(boolean conditional, Set<String> ends) {
    List<Expression> items = new ArrayList<>();
    boolean several = false;
    while (!isTupleEnd(ends)) {
      items.add(conditional ? expression() : or());
      if (!skipOperator(",")) {
        break;
      }
      several = true;
    }
    if (items.isEmpty() && !isOperator(")")) {
      throw unexpected();
    }
    return several || items.isEmpty()
        ? new Expression.Sequence(Value.Kind.TUPLE, items)
        : items.get(0);
  }

  private Expression expression() {
    enter();
    Expression value = or();
    while (skipName("if")) {
      Expression condition = or();
      Optional<Expression> otherwise =
          skipName("else") ? Optional.of(expression()) : Optional.empty();
      value = new Expression.Conditional(condition, value, otherwise);
    }
    leave();
    return value;
  }

  private Expression or() {
    Expression left = and();
    while (skipName("or")) {
      left = new Expression.Or(left, and());
    }
    return left;
  }

  private Expression and() {
    Expression left = not();
    while (skipName("and")) {
      left = new Expression.And(left, not());
    }
    return left;
  }

  private Expression not() {
    if (!skipName("not")) {
      return comparison();
    }
    enter();
    Expression negated = new Expression.Not(not());
    leave();
    return negated;
  }

  private Expression comparison() {
    Expression first = sum();
    List<Expression.Link> links = new ArrayList<>();
    while (true) {
      if (current().kind() == Kind.OPERATOR && COMPARISONS.contains(current().text())) {
        links.add(new Expression.Link(next().text(), sum()));
      } else if (skipName("in")) {
        links.add(new Expression.Link("in", sum()));
      } else if (isName("not") && tokens.get(position + 1).is(Kind.NAME, "in")) {
        position += 2;
        links.add(new Expression.Link("not in", sum()));
      } else {
        return links.isEmpty() ? first : new Expression.Comparison(first, links);
      }
    }
  }

  private Expression sum() {
    Expression left = concatenation();
    while (isOperator("+") || isOperator("-")) {
      left = new Expression.Binary(next().text(), left, concatenation());
    }
    return left;
  }

  private Expression concatenation() {
    List<Expression> parts = new ArrayList<>(List.of(product()));
    while (skipOperator("~")) {
      parts.add(product());
    }
    return parts.size() == 1 ? parts.get(0) : new Expression.Concatenation(parts);
  }

  private Expression product() {
    Expression left = power();
    while (isOperator("*") || isOperator("/") || isOperator("//") || isOperator("%")) {
      left = new Expression.Binary(next().text(), left, power());
    }
    return left;
  }

  private Expression power() {
    Expression left = unary(true);
    while (isOperator("**")) {
      left = new Expression.Binary(next().text(), left, unary(true));
    }
    return left;
  }

  private Expression unary(boolean filtered) {
    Expression value;
    if (isOperator("-") || isOperator("+")) {
      enter();
      value = new Expression.Signed(next().text().equals("-"), unary(false));
      leave();
    } else {
      value = primary();
    }
    value = postfix(value);
    return filtered ? filters(value) : value;
  }

  private Expression primary() {
    Token token = current();
    switch (token.kind()) {
      case NAME -> {
        return name(next().text());
      }
      case TEXT -> {
        StringBuilder text = new StringBuilder();
        while (current().kind() == Kind.TEXT) {
          text.append(next().text());
        }
        return new Expression.Literal(new Value.Text(text.toString()));
      }
      case INTEGER -> {
        return new Expression.Literal(new Value.Int(whole(next().text())));
      }
      case REAL -> {
        return new Expression.Literal(new Value.Real(Double.parseDouble(next().text())));
      }
      default -> {
        if (skipOperator("(")) {
          Expression inner = tuple(true, Set.of());
          expectOperator(")");
          return inner;
        }
        if (skipOperator("[")) {
          return new Expression.Sequence(Value.Kind.LIST, list());
        }
        if (skipOperator("{")) {
          return mapping();
        }
        throw unexpected();
      }
    }
  }

  private Expression name(String name) {
    return switch (name) {
      case "true", "True" -> new Expression.Literal(Value.Bool.TRUE);
      case "false", "False" -> new Expression.Literal(Value.Bool.FALSE);
      case "none", "None" -> new Expression.Literal(Value.None.NONE);
      default -> {
        if (OF_MACROS.contains(name)) {
          used.add(name);
        }
        yield new Expression.Name(name);
      }
    };
  }

  private long whole(String text) {
    int radix =
        switch (text.length() > 1 ? Character.toLowerCase(text.charAt(1)) : '0') {
          case 'x' -> 16;
          case 'o' -> 8;
          case 'b' -> 2;
          default -> 10;
        };
    try {
      return new BigInteger(radix == 10 ? text : text.substring(2), radix).longValueExact();
    } catch (ArithmeticException | NumberFormatException e) {
      throw failure("\"" + text + "\" does not fit into a 64-bit integer");
    }
  }

  private List<Expression> list() {
    List<Expression> items = new ArrayList<>();
    while (!skipOperator("]")) {
      if (!items.isEmpty()) {
        expectOperator(",");
        if (skipOperator("]")) {
          break;
        }
      }
      items.add(expression());
    }
    return items;
  }

  private Expression mapping() {
    List<Expression.Entry> entries = new ArrayList<>();
    while (!skipOperator("}")) {
      if (!entries.isEmpty()) {
        expectOperator(",");
        if (skipOperator("}")) {
          break;
        }
      }
      Expression key = expression();
      expectOperator(":");
      entries.add(new Expression.Entry(key, expression()));
    }
    return new Expression.Mapping(entries);
  }

  private Expression postfix(Expression of) {
    Expression value = of;
    while (true) {
      if (skipOperator(".")) {
        value =
            current().kind() == Kind.INTEGER
                ? new Expression.Item(
                    value, new Expression.Literal(new Value.Int(whole(next().text()))))
                : new Expression.Attribute(value, expect(Kind.NAME).text());
      } else if (skipOperator("[")) {
        value = subscript(value);
      } else if (isOperator("(")) {
        value = new Expression.Call(value, arguments());
      } else {
        return value;
      }
    }
  }

  private Expression subscript(Expression of) {
    Optional<Expression> first = isOperator(":") ? Optional.empty() : Optional.of(expression());
    if (!isOperator(":")) {
      expectOperator("]");
      return new Expression.Item(of, first.orElseThrow());
    }
    Optional<Expression> last = bound();
    Optional<Expression> step = isOperator(":") ? bound() : Optional.empty();
    expectOperator("]");
    return new Expression.Slice(of, first, last, step);
  }

  private Optional<Expression> bound() {
    expectOperator(":");
    return isOperator(":") || isOperator("]") ? Optional.empty() : Optional.of(expression());
  }

  private Expression.Given arguments() {
    List<Expression> positional = new ArrayList<>();
    Map<String, Expression> named = new LinkedHashMap<>();
    Optional<Expression> rest = Optional.empty();
    Optional<Expression> others = Optional.empty();
    expectOperator("(");
    while (!isOperator(")")) {
      if (skipOperator("*")) {
        rest = Optional.of(expression());
      } else if (skipOperator("**")) {
        others = Optional.of(expression());
      } else if (current().kind() == Kind.NAME && tokens.get(position + 1).is(Kind.OPERATOR, "=")) {
        String name = next().text();
        next();
        if (named.put(name, expression()) != null) {
          throw failure("argument \"" + name + "\" is given twice");
        }
      } else if (named.isEmpty() && rest.isEmpty() && others.isEmpty()) {
        positional.add(expression());
      } else {
        throw failure("an argument without a name follows one with a name");
      }
      if (!isOperator(")")) {
        expectOperator(",");
      }
    }
    next();
    return new Expression.Given(positional, named, rest, others);
  }

  private Expression filters(Expression of) {
    Expression value = of;
    while (true) {
      if (skipOperator("|")) {
        value = new Expression.Filtered(value, filterCall());
      } else if (skipName("is")) {
        value = test(value);
      } else if (isOperator("(")) {
        value = new Expression.Call(value, arguments());
      } else {
        return value;
      }
    }
  }

  private Expression.FilterCall filterCall() {
    String name = expect(Kind.NAME).text();
    return new Expression.FilterCall(
        name, isOperator("(") ? arguments() : Expression.Given.NOTHING);
  }

  private Expression test(Expression of) {
    boolean negated = skipName("not");
    String name = expect(Kind.NAME).text();
    Expression.Given given = Expression.Given.NOTHING;
    if (isOperator("(")) {
      given = arguments();
    } else if (startsArgument()) {
      given =
          new Expression.Given(
              List.of(postfix(primary())), Map.of(), Optional.empty(), Optional.empty());
    }
    return new Expression.Test(of, name, given, negated);
  }

  /** Parses the argument of a test without brackets. */
  private boolean startsArgument() {
    Token token = current();
    return switch (token.kind()) {
      case NAME -> {
        if (token.text().equals("is")) {
          throw failure("tests cannot be chained with \"is\"");
        }
        yield !Set.of("else", "or", "and").contains(token.text());
      }
      case TEXT, INTEGER, REAL -> true;
      case OPERATOR -> token.text().equals("[") || token.text().equals("{");
      default -> false;
    };
  }
}
