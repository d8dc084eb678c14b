/** A file of finished work, from which an interrupted run goes on. */
package org.threegate.analysis.journal;
