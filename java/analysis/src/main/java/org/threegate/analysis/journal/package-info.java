/** Journals of finished work, from which an interrupted run continues. */
package org.threegate.analysis.journal;
