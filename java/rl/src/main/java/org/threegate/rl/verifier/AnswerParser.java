package org.threegate.rl.verifier;

import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import org.apache.commons.numbers.fraction.BigFraction;
import org.threegate.rl.verifier.Token.Kind;

/**
 * Parses answers: lists, sets, intervals, relations, labels, units. What is none of these becomes
 * {@link Answer.Words}, never a part of itself.
 *
 * <pre>
 * answer   = item {("," | ";" | "or" | "and") item}
 * item     = label ("=" | "≈" | "∈") value | side {relation side} | value
 * value    = value ("∪" | "∩" | "∖") value | set | tuple | interval | matrix | ratio | quantity
 * set      = "\{" answer "\}" | "\{" name ["∈" value] ("|" | ":") item "\}" | "∅" | \mathbb{R}
 * quantity = [currency] sum [unit]        with ± two quantities
 * label    = name | name "(" ... ")" | "(" name {"," name} ")" | ratio of names | words
 * </pre>
 */
final class AnswerParser {
  private static final int DEEPEST = 12;
  private static final String RELATIONS = "=<>\u2264\u2265\u2260\u2248\u2208";
  private static final char HOLE = '\u2260';
  private static final String PLUS_MINUS = "\u00b1";
  private static final String MINUS_PLUS = "\u2213";
  private static final String CURRENCIES = "$\u20ac\u00a3\u00a5";
  private static final Set<String> LABEL_COMMANDS =
      Set.of("angle", "triangle", "measuredangle", "frac", "overline", "vec", "sphericalangle");

  private static final Set<String> NO_VALUE =
      Set.of(
          "nosolution",
          "nosolutions",
          "norealsolution",
          "norealsolutions",
          "theemptyset",
          "emptyset",
          "norealroots");
  private static final Set<String> ALL_VALUES =
      Set.of("allreals", "allrealnumbers", "allrealx", "anyrealnumber", "realnumbers");

  private AnswerParser() {}

  static Answer parse(String text) {
    List<Token> tokens = new ArrayList<>();
    for (Token token : Lexer.tokens(text)) {
      // 1orx and 2andY: a conjunction between formulas
      if (token.kind() == Kind.WORD && token.text().matches("(or|and)[A-Z]")) {
        int letters = token.text().length() - 1;
        tokens.add(new Token(Kind.WORD, token.text().substring(0, letters), true));
        tokens.add(new Token(Kind.WORD, token.text().substring(letters), true));
      } else {
        tokens.add(token);
      }
    }
    return list(tokens, 0);
  }

  private static Answer.Words words(List<Token> tokens) {
    StringBuilder text = new StringBuilder();
    boolean mathematical = false;
    for (Token token : tokens) {
      boolean word = token.kind() == Kind.TEXT || token.kind() == Kind.WORD;
      boolean mark = token.kind() == Kind.SYMBOL && "(),.-'/:{}[]".contains(token.text());
      mathematical |= !word && !mark;
    }
    for (Token token : tokens) {
      if (mathematical || !token.is("{") && !token.is("}")) {
        text.append(token.text().toLowerCase(Locale.ROOT).replaceAll("[\\s\u00a0]", ""));
      }
    }
    return new Answer.Words(text.toString(), mathematical);
  }

  private record Items(List<List<Token>> items, Answer.Joint joint, boolean wellFormed) {}

  private static Optional<Answer.Joint> conjunction(Token token) {
    if (token.kind() == Kind.TEXT || token.kind() == Kind.WORD) {
      String word = token.text().toLowerCase(Locale.ROOT).replaceAll("[\\s,;\u00a0]", "");
      if (word.equals("or")) {
        return Optional.of(Answer.Joint.OR);
      }
      if (word.equals("and")) {
        return Optional.of(Answer.Joint.AND);
      }
      return word.isEmpty() ? Optional.of(Answer.Joint.COMMA) : Optional.empty();
    }
    if (token.is("\u2228")) {
      return Optional.of(Answer.Joint.OR);
    }
    return token.is("\u2227") ? Optional.of(Answer.Joint.AND) : Optional.empty();
  }

  /** Splits at separators outside of brackets. */
  private static Items items(List<Token> tokens) {
    boolean both = contains(tokens, ";") && contains(tokens, ",");
    List<List<Token>> items = new ArrayList<>();
    List<Token> item = new ArrayList<>();
    Answer.Joint joint = Answer.Joint.COMMA;
    boolean wellFormed = true;
    boolean labelled = both && tokens.stream().anyMatch(token -> token.is("="));
    int depth = 0;
    boolean conjoined = false;
    for (Token token : tokens) {
      depth += token.opens() ? 1 : token.closes() ? -1 : 0;
      Optional<Answer.Joint> found =
          depth == 0 && (!both || labelled) ? conjunction(token) : Optional.empty();
      boolean separator = depth == 0 && (token.is(";") || token.is(",") && (!both || labelled));
      if (!separator && found.isEmpty()) {
        item.add(token);
        continue;
      }
      if (item.isEmpty()) {
        // ", and" is one separator. Others are not.
        wellFormed &= found.isPresent() && !items.isEmpty() && !conjoined;
      } else {
        items.add(item);
        item = new ArrayList<>();
      }
      conjoined = found.isPresent();
      if (found.isPresent() && joint != Answer.Joint.OR && found.get() != Answer.Joint.COMMA) {
        joint = found.get();
      }
    }
    wellFormed &= depth == 0 && !(item.isEmpty() && !items.isEmpty());
    items.add(item);
    return new Items(items, joint, wellFormed);
  }

  private static boolean contains(List<Token> tokens, String symbol) {
    int depth = 0;
    for (Token token : tokens) {
      depth += token.opens() ? 1 : token.closes() ? -1 : 0;
      if (depth == 0 && token.is(symbol)) {
        return true;
      }
    }
    return false;
  }

  private static Answer list(List<Token> tokens, int depth) {
    if (depth > DEEPEST) {
      return new Answer.Words("...", true);
    }
    Items items = items(tokens);
    if (items.items().size() == 1) {
      return items.wellFormed() ? item(tokens, depth) : words(tokens);
    }
    if (!items.wellFormed()) {
      return words(tokens);
    }
    List<Answer> answers = answers(items.items(), depth);
    if (answers.stream().allMatch(Answer.Words.class::isInstance)) {
      // A sentence with a comma, or a list of words.
      boolean mathematical =
          answers.stream().anyMatch(answer -> ((Answer.Words) answer).mathematical());
      if (mathematical) {
        return words(tokens);
      }
    }
    return labelled(new Answer.Collection(items.joint(), holes(flat(answers))));
  }

  private static List<Answer> answers(List<List<Token>> items, int depth) {
    return items.stream().map(item -> list(item, depth + 1)).toList();
  }

  /** Gives the values in x ≠ 1, 2 the relation of the first. */
  private static List<Answer> holes(List<Answer> answers) {
    if (!(answers.get(0) instanceof Answer.Relation first)
        || !first.signs().equals(List.of(HOLE))
        || !answers.stream().skip(1).allMatch(Answer.Quantity.class::isInstance)) {
      return answers;
    }
    List<Answer> relations = new ArrayList<>(List.of(first));
    for (Answer answer : answers.subList(1, answers.size())) {
      Formula value = ((Answer.Quantity) answer).formula();
      relations.add(new Answer.Relation(List.of(first.sides().get(0), value), first.signs()));
    }
    return relations;
  }

  /** Puts both values of ± among the others. */
  private static List<Answer> flat(List<Answer> answers) {
    List<Answer> flat = new ArrayList<>();
    for (Answer answer : answers) {
      if (answer instanceof Answer.Collection of && of.joint() == Answer.Joint.COMMA) {
        flat.addAll(of.items());
      } else if (answer instanceof Answer.Labelled labelled
          && labelled.value() instanceof Answer.Collection of
          && of.joint() == Answer.Joint.COMMA) {
        for (Answer value : of.items()) {
          flat.add(new Answer.Labelled(labelled.label(), value, List.of()));
        }
      } else {
        flat.add(answer);
      }
    }
    return flat;
  }

  /** Gives a list one label if it has only one, and groups values whose labels repeat. */
  private static Answer labelled(Answer.Collection list) {
    List<String> labels = new ArrayList<>();
    List<Answer> values = new ArrayList<>();
    for (Answer answer : list.items()) {
      if (answer instanceof Answer.Labelled labelled) {
        labels.add(labelled.label());
        values.add(labelled.value());
      } else if (!labels.isEmpty() && !(answer instanceof Answer.Relation)) {
        labels.add(labels.get(labels.size() - 1));
        values.add(answer);
      } else {
        return list;
      }
    }
    Set<String> distinct = new LinkedHashSet<>(labels);
    int period = distinct.size();
    if (period == 1) {
      return new Answer.Labelled(
          labels.get(0), new Answer.Collection(list.joint(), values), List.of());
    }
    boolean regular = labels.size() > period && labels.size() % period == 0;
    for (int i = 0; regular && i < labels.size(); i++) {
      regular = labels.get(i).equals(labels.get(i % period));
    }
    if (!regular) {
      return list;
    }
    List<Answer> tuples = new ArrayList<>();
    for (int i = 0; i < values.size(); i += period) {
      tuples.add(new Answer.Sequence('(', ')', List.copyOf(values.subList(i, i + period))));
    }
    String label = "(" + String.join(",", distinct) + ")";
    return new Answer.Labelled(label, new Answer.Collection(Answer.Joint.COMMA, tuples), List.of());
  }

  private static Answer item(List<Token> tokens, int depth) {
    if (tokens.isEmpty()) {
      return words(tokens);
    }
    int element = find(tokens, RELATIONS);
    return element >= 0 ? related(tokens, depth) : value(tokens, depth);
  }

  /** Returns the place of the first of the symbols outside of brackets, or -1. */
  private static int find(List<Token> tokens, String symbols) {
    int depth = 0;
    for (int i = 0; i < tokens.size(); i++) {
      Token token = tokens.get(i);
      depth += token.opens() ? 1 : token.closes() ? -1 : 0;
      if (depth == 0 && isOneOf(token, symbols)) {
        return i;
      }
    }
    return -1;
  }

  private static boolean isOneOf(Token token, String symbols) {
    return token.kind() == Kind.SYMBOL
        && token.text().length() == 1
        && symbols.contains(token.text());
  }

  private static Answer related(List<Token> tokens, int depth) {
    List<List<Token>> sides = new ArrayList<>();
    List<Character> signs = new ArrayList<>();
    List<Token> rest = tokens;
    for (int at = find(rest, RELATIONS); at >= 0; at = find(rest, RELATIONS)) {
      sides.add(rest.subList(0, at));
      signs.add(rest.get(at).text().charAt(0));
      rest = rest.subList(at + 1, rest.size());
    }
    sides.add(rest);
    if (sides.stream().anyMatch(List::isEmpty)) {
      return words(tokens);
    }
    if (signs.contains('\u2208')) {
      return signs.size() == 1 && isLabel(sides.get(0))
          ? new Answer.Labelled(label(sides.get(0)), list(sides.get(1), depth + 1), List.of())
          : words(tokens);
    }
    int approximate = signs.indexOf('\u2248');
    if (approximate >= 0 && sides.size() > 2) {
      // x = 1/3 ≈ 0.33: the value before the sign is the exact one.
      boolean formulas =
          sides.subList(approximate + 1, sides.size()).stream()
              .allMatch(side -> FormulaParser.parse(side).isPresent());
      if (!formulas
          || approximate == 0
          || contradicts(sides.get(approximate), sides.get(approximate + 1))) {
        return words(tokens);
      }
      sides = sides.subList(0, approximate + 1);
      signs = signs.subList(0, approximate);
    }
    if (approximate == 0
        && !isLabel(sides.get(0))
        && FormulaParser.parse(sides.get(1)).isPresent()
        && !contradicts(sides.get(0), sides.get(1))) {
      return value(sides.get(0), depth);
    }
    boolean both = tokens.stream().anyMatch(token -> token.is(PLUS_MINUS));
    if (both && signs.equals(List.of(HOLE))) {
      // x is neither of two values.
      return new Answer.Collection(
          Answer.Joint.AND,
          List.of(
              related(withSign(tokens, true), depth + 1),
              related(withSign(tokens, false), depth + 1)));
    }
    boolean equal = signs.stream().allMatch(sign -> sign == '=' || sign == '\u2248');
    return equal ? equation(tokens, sides, depth) : inequality(tokens, sides, signs);
  }

  /** Returns whether a decimal is more than a unit of its last digit away from a value. */
  private static boolean contradicts(List<Token> exact, List<Token> approximation) {
    Optional<Formula> value = FormulaParser.parse(exact);
    Token last = approximation.get(approximation.size() - 1);
    if (value.isEmpty()
        || !value.get().variables().isEmpty()
        || last.kind() != Kind.NUMBER
        || !last.text().matches("\\d*(\\.\\d+)?")
        || approximation.size() > 2) {
      return false;
    }
    int places = last.text().length() - 1 - last.text().indexOf('.');
    BigFraction unit =
        last.text().indexOf('.') < 0 ? BigFraction.ONE : BigFraction.of(10).pow(-places);
    Formula difference =
        Formula.difference(value.get(), FormulaParser.parse(approximation).orElseThrow());
    Formula excess = Formula.difference(new Formula.Function("abs", difference), Formula.of(unit));
    return Equality.sign(excess).filter(sign -> sign <= 0).isEmpty();
  }

  private static Answer equation(List<Token> tokens, List<List<Token>> sides, int depth) {
    List<Optional<Formula>> formulas = sides.stream().map(FormulaParser::parse).toList();
    List<Token> first = sides.get(0);
    List<Token> last = sides.get(sides.size() - 1);
    boolean parsed = formulas.stream().allMatch(Optional::isPresent);
    List<Answer.Relation> equation =
        sides.size() == 2 && parsed
            ? List.of(
                new Answer.Relation(
                    List.of(formulas.get(0).get(), formulas.get(1).get()), List.of('=')))
            : List.of();
    if (isLabel(first)) {
      Answer value = list(last, depth + 1);
      for (List<Token> middle : sides.subList(1, sides.size() - 1)) {
        boolean consistent =
            value instanceof Answer.Quantity quantity
                && FormulaParser.parse(middle)
                    .filter(f -> Equality.equal(f, quantity.formula()) != Truth.NO)
                    .isPresent();
        if (!consistent && !isLabel(middle)) {
          return words(tokens);
        }
      }
      return value instanceof Answer.Words words && words.mathematical()
          ? words(tokens)
          : new Answer.Labelled(label(first), value, equation);
    }
    if (sides.size() == 2 && isLabel(last)) {
      return new Answer.Labelled(label(last), list(first, depth + 1), equation);
    }
    if (!parsed || sides.size() > 2) {
      return words(tokens);
    }
    Answer.Relation relation = equation.get(0);
    boolean constant = relation.sides().stream().allMatch(side -> side.variables().isEmpty());
    if (!constant) {
      return relation;
    }
    // 2 * 5 = 10 is the number 10.
    return Equality.equal(relation.sides().get(0), relation.sides().get(1)) == Truth.YES
        ? new Answer.Quantity(relation.sides().get(1))
        : words(tokens);
  }

  private static Answer inequality(
      List<Token> tokens, List<List<Token>> sides, List<Character> signs) {
    List<Formula> formulas = new ArrayList<>();
    for (List<Token> side : sides) {
      Optional<Formula> formula =
          isLabel(side) && find(side, "|") < 0
              ? Optional.of(new Formula.Variable(label(side)))
              : FormulaParser.parse(side);
      if (formula.isEmpty()) {
        return words(tokens);
      }
      formulas.add(formula.get());
    }
    return new Answer.Relation(formulas, List.copyOf(signs));
  }

  /** Returns a name without spaces and groups. */
  private static String label(List<Token> tokens) {
    StringBuilder name = new StringBuilder();
    for (Token token : tokens) {
      if (!token.is("{") && !token.is("}")) {
        name.append(token.text().replaceAll("[\\s\u00a0]", ""));
      }
    }
    return name.toString();
  }

  /** Returns whether tokens only name something, so that an equation gives its value. */
  private static boolean isLabel(List<Token> tokens) {
    boolean named = false;
    int i = 0;
    while (i < tokens.size()) {
      Token token = tokens.get(i);
      Token before = i == 0 ? new Token(Kind.UNKNOWN, "", false) : tokens.get(i - 1);
      if (token.kind() == Kind.WORD || token.kind() == Kind.TEXT) {
        String word = token.text().strip();
        if (FormulaParser.isName(word) || word.equals("e") || word.equals("i")) {
          return false;
        }
        named = true;
      } else if (token.kind() == Kind.COMMAND) {
        if (FormulaParser.isLetter(token.text())) {
          named = true;
        } else if (!LABEL_COMMANDS.contains(token.text())) {
          return false;
        }
      } else if (token.is("_") || token.is("(") && named && isNameEnd(before)) {
        // An index, or the argument of f(x).
        int end = afterArgument(tokens, token.is("_") ? i + 1 : i);
        if (!tokens.subList(i, end).stream().allMatch(AnswerParser::isKnown)) {
          return false;
        }
        i = end;
        continue;
      } else if (token.is("^") && named) {
        int end = afterArgument(tokens, i + 1);
        if (!label(tokens.subList(i + 1, end)).equals("-1")) {
          return false; // only the inverse f^{-1} is a name
        }
        i = end;
        continue;
      } else if (!(isOneOf(token, "(),{}'|:/"))) {
        return false;
      }
      i++;
    }
    return named;
  }

  private static boolean isKnown(Token token) {
    return token.kind() == Kind.COMMAND
        ? FormulaParser.isLetter(token.text())
            || FormulaParser.isName(token.text())
            || LABEL_COMMANDS.contains(token.text())
        : token.kind() != Kind.UNKNOWN && !token.is("&");
  }

  private static boolean isNameEnd(Token token) {
    return token.kind() == Kind.WORD
        || token.kind() == Kind.TEXT
        || token.kind() == Kind.COMMAND
        || token.is("'")
        || token.is("}");
  }

  /** Returns the place after a group or a single token. */
  private static int afterArgument(List<Token> tokens, int begin) {
    int depth = 0;
    for (int i = begin; i < tokens.size(); i++) {
      depth += tokens.get(i).opens() ? 1 : tokens.get(i).closes() ? -1 : 0;
      if (depth == 0) {
        return i + 1;
      }
    }
    return tokens.size();
  }

  private static Answer value(List<Token> tokens, int depth) {
    if (depth > DEEPEST || tokens.isEmpty()) {
      return words(tokens);
    }
    for (String signs : new String[] {"\u222a", "\u2229\u2216"}) {
      int at = findLast(tokens, signs);
      if (at > 0 && at < tokens.size() - 1) {
        return new Answer.SetOperation(
            tokens.get(at).text().charAt(0),
            value(tokens.subList(0, at), depth + 1),
            value(tokens.subList(at + 1, tokens.size()), depth + 1));
      }
    }
    if (isWrapped(tokens)) {
      Optional<Answer> bracketed = bracketed(tokens, depth);
      if (bracketed.isPresent()) {
        return bracketed.get();
      }
    }
    if (tokens.size() == 1) {
      Token only = tokens.get(0);
      if (only.is("\u2205")) {
        return new Answer.Collection(Answer.Joint.SET, List.of());
      }
      if (only.kind() == Kind.COMMAND && only.text().startsWith("mathbb:")) {
        return new Answer.Named(only.text().substring("mathbb:".length()));
      }
    }
    if (tokens.get(0).isCommand("mathbb:R") && tokens.size() > 2) {
      if (tokens.get(1).is("-")) {
        return new Answer.SetOperation(
            '\u2216', new Answer.Named("R"), value(tokens.subList(2, tokens.size()), depth + 1));
      }
      if (label(tokens).matches("mathbb:R\\^\\+")) {
        return new Answer.Sequence(
            '(',
            ')',
            List.of(new Answer.Quantity(Formula.ZERO), new Answer.Quantity(Formula.INFINITY)));
      }
    }
    Answer.Words words = words(tokens);
    if (!words.mathematical() && NO_VALUE.contains(words.text())) {
      return new Answer.Collection(Answer.Joint.SET, List.of());
    }
    if (!words.mathematical() && ALL_VALUES.contains(words.text())) {
      return new Answer.Named("R");
    }
    if (find(tokens, ":") >= 0) {
      return ratio(tokens);
    }
    if (tokens.get(0).kind() == Kind.COMMAND && tokens.get(0).text().startsWith("begin:")) {
      return matrix(tokens, depth);
    }
    if (tokens.stream().anyMatch(token -> token.is(PLUS_MINUS) || token.is(MINUS_PLUS))) {
      return plusMinus(tokens, depth);
    }
    return quantity(tokens).<Answer>map(quantity -> quantity).orElseGet(() -> words(tokens));
  }

  private static int findLast(List<Token> tokens, String symbols) {
    int depth = 0;
    for (int i = tokens.size() - 1; i >= 0; i--) {
      Token token = tokens.get(i);
      depth += token.closes() ? 1 : token.opens() ? -1 : 0;
      if (depth == 0 && isOneOf(token, symbols)) {
        return i;
      }
    }
    return -1;
  }

  /** Returns whether the first bracket closes at the end. */
  private static boolean isWrapped(List<Token> tokens) {
    if (tokens.size() < 2
        || tokens.get(0).kind() != Kind.SYMBOL
        || !tokens.get(0).opens()
        || !tokens.get(tokens.size() - 1).closes()
        || tokens.get(tokens.size() - 1).kind() != Kind.SYMBOL) {
      return false;
    }
    return afterArgument(tokens, 0) == tokens.size();
  }

  private static Optional<Answer> bracketed(List<Token> tokens, int depth) {
    char open = tokens.get(0).text().charAt(0);
    char close = tokens.get(tokens.size() - 1).text().charAt(0);
    List<Token> inside = tokens.subList(1, tokens.size() - 1);
    if (open == Token.OPEN_SET.charAt(0)) {
      if (close != Token.CLOSE_SET.charAt(0)) {
        return Optional.empty();
      }
      return Optional.of(set(inside, depth));
    }
    if (open == '{') {
      if (close != '}') {
        return Optional.empty();
      }
      if (inside.isEmpty()) {
        return Optional.of(words(tokens));
      }
      // Without its backslashes, a set is a group with several entries.
      Answer list = list(inside, depth + 1);
      return Optional.of(
          list instanceof Answer.Collection collection
              ? new Answer.Collection(Answer.Joint.SET, collection.items())
              : list);
    }
    if (")]".indexOf(close) < 0) {
      return Optional.empty();
    }
    Items items = items(inside);
    if (!items.wellFormed() || inside.isEmpty()) {
      return Optional.of(words(tokens));
    }
    if (items.items().size() > 1) {
      return items.joint() == Answer.Joint.COMMA
          ? Optional.of(new Answer.Sequence(open, close, answers(items.items(), depth)))
          : Optional.of(words(tokens));
    }
    boolean matrix =
        inside.get(0).kind() == Kind.COMMAND && inside.get(0).text().startsWith("begin:");
    boolean single = open == '(' && close == ')' || open == '[' && close == ']';
    return single && (matrix || find(inside, RELATIONS) < 0)
        ? Optional.of(value(inside, depth + 1))
        : Optional.empty();
  }

  /** Parses the entries of a set, or its condition: {@code x \mid x > 2}. */
  private static Answer set(List<Token> inside, int depth) {
    if (inside.isEmpty()) {
      return new Answer.Collection(Answer.Joint.SET, List.of());
    }
    int bar = find(inside, "|:");
    if (bar > 0 && bar < inside.size() - 1) {
      List<Token> head = inside.subList(0, bar);
      int element = find(head, "\u2208");
      List<Token> name = element < 0 ? head : head.subList(0, element);
      if (name.size() == 1 && isLabel(name)) {
        Answer condition = list(inside.subList(bar + 1, inside.size()), depth + 1);
        if (element < 0) {
          return condition;
        }
        Answer universe = value(head.subList(element + 1, head.size()), depth + 1);
        return universe instanceof Answer.Named named && named.name().equals("R")
            ? condition
            : new Answer.SetOperation('\u2229', condition, universe);
      }
    }
    Items items = items(inside);
    if (!items.wellFormed()) {
      return words(inside);
    }
    return new Answer.Collection(Answer.Joint.SET, flat(answers(items.items(), depth)));
  }

  private static Answer ratio(List<Token> tokens) {
    List<Formula> parts = new ArrayList<>();
    List<Token> rest = tokens;
    boolean more = true;
    while (more) {
      int at = find(rest, ":");
      more = at >= 0;
      Optional<Formula> part = FormulaParser.parse(more ? rest.subList(0, at) : rest);
      if (part.isEmpty()) {
        return words(tokens);
      }
      parts.add(part.get());
      rest = more ? rest.subList(at + 1, rest.size()) : rest;
    }
    boolean time =
        tokens.size() == 3
            && tokens.get(0).text().matches("\\d{1,2}")
            && tokens.get(2).text().matches("[0-5]\\d");
    return new Answer.Ratio(parts, time);
  }

  private static Answer matrix(List<Token> tokens, int depth) {
    Token end = tokens.get(tokens.size() - 1);
    if (end.kind() != Kind.COMMAND
        || !end.text().startsWith("end:")
        || afterArgument(tokens, 0) != tokens.size()
        || tokens.size() == 2) {
      return words(tokens);
    }
    List<List<Answer>> rows = new ArrayList<>();
    List<Answer> row = new ArrayList<>();
    List<Token> entry = new ArrayList<>();
    int level = 0;
    List<Token> inside = new ArrayList<>(tokens.subList(1, tokens.size() - 1));
    if (!inside.get(inside.size() - 1).is(Token.NEW_ROW)) {
      inside.add(new Token(Kind.SYMBOL, Token.NEW_ROW, false));
    }
    for (Token token : inside) {
      level += token.opens() ? 1 : token.closes() ? -1 : 0;
      boolean newRow = level == 0 && token.is(Token.NEW_ROW);
      if (newRow || level == 0 && token.is("&")) {
        if (entry.isEmpty()) {
          return words(tokens);
        }
        row.add(list(entry, depth + 1));
        entry = new ArrayList<>();
      } else {
        entry.add(token);
      }
      if (newRow) {
        rows.add(row);
        row = new ArrayList<>();
      }
    }
    boolean even = rows.stream().allMatch(of -> of.size() == rows.get(0).size());
    return even ? new Answer.Matrix(rows) : words(tokens);
  }

  /** Chooses the upper or the lower signs of ± and ∓. */
  private static List<Token> withSign(List<Token> tokens, boolean upper) {
    List<Token> one = new ArrayList<>();
    for (Token token : tokens) {
      boolean first = token.is(PLUS_MINUS);
      boolean either = first || token.is(MINUS_PLUS);
      one.add(either ? new Token(Kind.SYMBOL, first == upper ? "+" : "-", false) : token);
    }
    return one;
  }

  private static Answer plusMinus(List<Token> tokens, int depth) {
    List<Answer> both = new ArrayList<>();
    for (boolean upper : new boolean[] {true, false}) {
      Answer value = value(withSign(tokens, upper), depth + 1);
      if (value instanceof Answer.Words) {
        return words(tokens);
      }
      both.add(value);
    }
    return new Answer.Collection(Answer.Joint.COMMA, both);
  }

  /** Parses a formula, a unit after it, or a currency before it. */
  private static Optional<Answer.Quantity> quantity(List<Token> tokens) {
    int sign = tokens.size() > 2 && (tokens.get(0).is("-") || tokens.get(0).is("+")) ? 1 : 0;
    if (tokens.size() > sign + 1 && isOneOf(tokens.get(sign), CURRENCIES)) {
      List<Token> rest = new ArrayList<>(tokens);
      Token currency = rest.remove(sign);
      Optional<Answer.Quantity> amount = quantity(rest);
      Optional<Unit> unit = Unit.parse(List.of(currency));
      return amount
          .filter(
              found ->
                  found.unit().isNone()
                      || found.unit().dimensions().equals(unit.get().dimensions()))
          .map(found -> new Answer.Quantity(found.formula(), unit.get()));
    }
    for (int at = 1; at < tokens.size(); at++) {
      if (!beginsUnit(tokens, at)) {
        continue;
      }
      Optional<Unit> unit = Unit.parse(tokens.subList(at, tokens.size()));
      if (unit.isEmpty()) {
        continue;
      }
      Optional<Formula> formula = FormulaParser.parse(tokens.subList(0, at));
      if (formula.isPresent()) {
        return Optional.of(quantity(formula.get(), unit.get()));
      }
    }
    return FormulaParser.parse(tokens).map(Answer.Quantity::new);
  }

  private static Answer.Quantity quantity(Formula formula, Unit unit) {
    Formula value =
        unit.multiplier().compareTo(BigFraction.ONE) != 0
            ? Formula.product(formula, Formula.of(unit.multiplier()))
            : formula;
    return unit.is("degree")
        ? new Answer.Quantity(Formula.product(value, new Formula.Constant("degree")))
        : new Answer.Quantity(value, unit);
  }

  private static boolean beginsUnit(List<Token> tokens, int at) {
    Token token = tokens.get(at);
    String text = token.text().strip();
    if (token.kind() == Kind.SYMBOL) {
      boolean scale =
          token.is("\u00b0")
              && at + 2 == tokens.size()
              && tokens.get(at + 1).text().strip().matches("[CF]");
      return scale || token.is("%") || isOneOf(token, CURRENCIES);
    }
    if (token.kind() == Kind.TEXT) {
      // One letter is a variable, unless it is a unit.
      return text.length() != 1 || Unit.isLetter(text);
    }
    return token.kind() == Kind.WORD
        && !FormulaParser.isName(text)
        && (Unit.isKnown(text, token.spaced())
            || token.spaced() && text.length() > 3 && text.matches("[a-z]+"));
  }
}
