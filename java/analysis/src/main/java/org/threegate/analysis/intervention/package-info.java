/** Changes of a model that leave its function as it is (arXiv 2511.08567, section 4.3). */
package org.threegate.analysis.intervention;
