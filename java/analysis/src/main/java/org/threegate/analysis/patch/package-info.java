/** What a weight patch does to the matrices it changes, in time and memory of what changes. */
package org.threegate.analysis.patch;
