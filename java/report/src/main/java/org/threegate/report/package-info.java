/** Renders records as JSON, Parquet, safetensors, HTML and text. */
package org.threegate.report;
