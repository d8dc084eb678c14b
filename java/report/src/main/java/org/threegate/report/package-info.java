/** Renders results of the analysis as JSON, Parquet, safetensors, HTML pages and text. */
package org.threegate.report;
