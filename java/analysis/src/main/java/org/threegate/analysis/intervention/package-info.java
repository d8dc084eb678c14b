/** Changes of a model that preserve its function (arXiv 2511.08567, section 4.3). */
package org.threegate.analysis.intervention;
