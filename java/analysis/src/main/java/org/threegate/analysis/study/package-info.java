/** Runs of one study held against each other: what was claimed, what was seen, and why. */
package org.threegate.analysis.study;
