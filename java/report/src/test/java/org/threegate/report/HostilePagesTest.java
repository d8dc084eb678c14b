package org.threegate.report;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.function.Function;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.threegate.testing.BrowserTab;
import org.threegate.testing.HostileText;

/** Tests that hostile text in any place of a page is shown as text, also in tooltips. */
class HostilePagesTest {
  /** Waits until plots are drawn and have stopped moving. */
  private static final String SETTLE = "new Promise(done => setTimeout(done, 1500))";

  /**
   * Shows the tooltip of every point of every plot, and collects elements that are not plain text.
   */
  private static final String POINT_AT_ALL =
      """
      (async () => {
        let tips = 0;
        const foreign = new Set(), shown = new Set();
        for (const plot of charts) {
          const option = plot.getOption();
          for (let series = 0; series < (option?.series ?? []).length; series++) {
            if (option.series[series].silent) continue;
            for (let point = 0; point < Math.min(40, option.series[series].data.length); point++) {
              plot.dispatchAction({ type: "showTip", seriesIndex: series, dataIndex: point });
              tips++;
              document.querySelectorAll("main img, main svg, main iframe, main a[href^=java], main style, main script")
                .forEach(e => foreign.add(e.outerHTML.slice(0, 80)));
            }
            await new Promise(done => setTimeout(done, 0));
            plot.getDom().querySelectorAll(".tip").forEach(e => shown.add(e.textContent));
          }
        }
        return { tips, foreign: [...foreign], shown: [...shown] };
      })()""";

  /** Scrolls to a plot, and returns points of the window where the plot draws something. */
  private static final String POINTS =
      """
      (plot => {
        plot.getDom().scrollIntoView({ block: "center" });
        const box = plot.getDom().getBoundingClientRect(), points = [];
        if (box.width === 0) return points;
        (plot.getOption()?.series ?? []).forEach((s, i) => {
          for (const datum of s.data.slice(0, 3)) {
            const at = plot.convertToPixel({ seriesIndex: i }, (datum?.value ?? datum).slice?.(0, 2) ?? [0, datum]);
            if (at && Number.isFinite(at[0] + at[1])) points.push([box.left + at[0], box.top + at[1]]);
          }
        });
        for (let y = 1; y < 4; y++) points.push([box.left + 60, box.top + y * box.height / 4]);
        return points.slice(0, 12);
      })""";

  /** Directory for screenshots. */
  private static final Path PICTURES = Path.of("target/pages");

  private static final List<String> NAMES = HostileText.names();

  @TempDir Path directory;

  /** Writes a report's files. */
  @FunctionalInterface
  interface Writer {
    void write(Path directory) throws IOException;
  }

  static Stream<Arguments> pages() {
    return Stream.of(
        Arguments.of(
            "report.html",
            (Writer) to -> ReportDirectory.write(HostileReports.comparison(NAMES), to)),
        Arguments.of(
            "consensus.html",
            (Writer) to -> ConsensusDirectory.write(HostileReports.consensus(NAMES), to)),
        Arguments.of(
            "curvature.html",
            (Writer) to -> CurvatureDirectory.write(HostileReports.curvature(NAMES), to)),
        Arguments.of(
            "study.html", (Writer) to -> StudyDirectory.write(HostileReports.study(NAMES), to)));
  }

  @Execution(ExecutionMode.CONCURRENT) // browsers mostly wait for animations
  @ParameterizedTest(name = "{0}")
  @MethodSource("pages")
  void foreignTextIsTextEverywhere(String name, Writer writer) throws Exception {
    Path out = directory.resolve("out");
    writer.write(out);
    Path page = out.resolve(name);
    // Text must be shown as text without the policy, too. The policy is only a second defence.
    for (boolean policy : new boolean[] {false, true}) {
      try (BrowserTab tab = BrowserTab.open(page.toUri(), directory, policy)) {
        String title = tab.evaluate("document.title").asText();
        tab.evaluate(SETTLE);
        JsonNode tips = tab.evaluate(POINT_AT_ALL);
        assertThat(tips.path("foreign")).isEmpty();
        assertThat(tips.path("shown").toString()).isNotEqualTo("[]").doesNotContain("\u202e");
        assertThat(tips.path("tips").asInt()).isGreaterThan(20);
        for (int plot = 0; !policy && plot < tab.evaluate("charts.length").asInt(); plot++) {
          for (JsonNode point : tab.evaluate(POINTS + "(charts[" + plot + "])")) {
            tab.move(point.get(0).asDouble(), point.get(1).asDouble());
          }
        }
        tab.evaluate(SETTLE);
        tab.picture(
            Files.createDirectories(PICTURES)
                .resolve(name + (policy ? ".png" : "-without-policy.png")));
        assertThat(tab.evaluate("document.title").asText())
            .isEqualTo(title)
            .doesNotContain(HostileText.CANARY);
        assertThat(tab.complaints()).isEmpty();
        assertThat(tab.requests()).containsExactly(page.toUri().toString());
      }
    }
  }

  /** The policy forbids actions that none of the pages needs. */
  @Test
  void thePolicyForbidsWhatThePageDoesNotNeed() throws Exception {
    Path out = directory.resolve("out");
    ReportDirectory.write(HostileReports.comparison(List.of("a", "b")), out);
    try (BrowserTab tab =
        BrowserTab.open(out.resolve(ReportDirectory.HTML).toUri(), directory, true)) {
      JsonNode seen =
          tab.evaluate(
              """
              (async () => {
                const seen = [], forbidden = [];
                document.addEventListener("securitypolicyviolation", e => forbidden.push(e.effectiveDirective));
                document.body.insertAdjacentHTML("beforeend", "<img id=parsed src=x onerror=document.title='pwned'>");
                seen.push(document.getElementById("parsed") === null);
                for (const [tag, attribute, value] of [["img", "src", "data:,"], ["iframe", "src", "about:blank#x"], ["link", "href", "data:text/css,"], ["base", "href", "//evil.example"]]) {
                  const made = document.createElement(tag);
                  if (tag === "link") made.rel = "stylesheet";
                  made.setAttribute(attribute, value);
                  document.head.appendChild(made);
                }
                for (const make of [
                  () => { const made = document.createElement("script"); made.append("document.title = 'pwned'"); document.body.append(made); },
                  () => document.body.setAttribute("onclick", "document.title = 'pwned'"),
                  () => { location.href = "javascript:document.title='pwned'"; },
                  () => setTimeout("document.title = 'pwned'"),
                  () => eval("document.title = 'pwned'")]) {
                  try { make(); } catch (refused) { seen.push(refused.name); }
                }
                document.body.click();
                await fetch("data:,x").catch(() => seen.push("fetch"));
                await new Promise(done => setTimeout(done, 200));
                return { seen, title: document.title, forbidden: [...new Set(forbidden)].sort() };
              })()""");
      assertThat(seen.path("title").asText()).isEqualTo("Threegate comparison");
      assertThat(seen.path("seen").toString()).startsWith("[true").contains("fetch");
      assertThat(seen.path("forbidden").toString())
          .contains("img-src", "style-src-elem", "script-src-elem", "connect-src", "base-uri");
    }
  }

  static Stream<Arguments> texts() {
    return Stream.of(
        Arguments.of(
            "compare",
            (Function<List<String>, String>)
                names -> TerminalReport.render(HostileReports.comparison(names))),
        Arguments.of(
            "consensus",
            (Function<List<String>, String>)
                names -> ConsensusText.render(HostileReports.consensus(names))),
        Arguments.of(
            "calibration",
            (Function<List<String>, String>)
                names -> CalibrationText.render(HostileReports.calibration(names))),
        Arguments.of(
            "curvature",
            (Function<List<String>, String>)
                names -> CurvatureText.render(HostileReports.curvature(names))),
        Arguments.of(
            "study",
            (Function<List<String>, String>)
                names -> StudyText.render(HostileReports.study(names))));
  }

  /**
   * Names do not end a line, move the cursor, change the direction of text, or have unlimited
   * length.
   */
  @ParameterizedTest(name = "{0}")
  @MethodSource("texts")
  void foreignTextIsTextOnATerminal(String name, Function<List<String>, String> render) {
    List<String> tame = IntStream.range(0, NAMES.size()).mapToObj(i -> "name " + i).toList();
    String text = render.apply(NAMES);
    assertThat(text.lines().count()).isEqualTo(render.apply(tame).lines().count());
    assertThat(text.lines()).allMatch(line -> line.length() < 100_000);
    assertThat(text.codePoints().filter(c -> c != '\n'))
        .noneMatch(
            c ->
                Character.isISOControl(c)
                    || Character.getType(c) == Character.FORMAT
                    || Character.getType(c) == Character.LINE_SEPARATOR
                    || Character.getType(c) == Character.SURROGATE);
  }
}
