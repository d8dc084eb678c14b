package org.threegate.report;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.threegate.checkpoint.PagePolicy;

/** Pages contain ECharts and what it is made of, whose licences ask for their notices. */
class PageLicencesTest {
  @TempDir Path directory;

  @Test
  void aPageHasTheNoticesOfItsPlottingLibrary() throws Exception {
    ReportDirectory.write(HostileReports.comparison(List.of("a", "b")), directory);
    assertThat(Files.readString(directory.resolve(ReportDirectory.HTML)))
        .contains(
            "Copyright 2017-2024 The Apache Software Foundation", // NOTICE of ECharts
            "http://www.apache.org/licenses/LICENSE-2.0",
            "Copyright (c) 2017, Baidu Inc.", // zrender
            "Copyright 2010-2016 Mike Bostock", // d3
            "Copyright (c) Microsoft Corporation."); // tslib
  }

  /** The library goes into pages as it is: replacing text in it would take longer than a report. */
  @Test
  void thePlottingLibraryCanBeAScriptOfAPage() throws Exception {
    assertThat(HtmlPage.echarts())
        .doesNotContain("</script", "<!--", "\r", "/*POLICY*/", "/*DATA*/")
        .endsWith("\n")
        .hasSizeGreaterThan(500_000);
    assertThat(PagePolicy.hash(HtmlPage.echarts())).isEqualTo(HtmlPage.LIBRARY_HASH);
  }

  @Test
  void pagesHaveNoPlaceLeftToFill() throws Exception {
    ReportDirectory.write(HostileReports.comparison(List.of("a", "b")), directory);
    assertThat(Files.readString(directory.resolve(ReportDirectory.HTML)))
        .doesNotContain("/*POLICY*/", "/*DATA*/", "/*ECHARTS*/", "/*STYLE*/", "/*SHARED*/");
  }
}
