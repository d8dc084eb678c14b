/**
 * The part of Jinja that chat templates use: lexer, parser, syntax tree and evaluator. Templates
 * are untrusted programs. They see JSON values and fixed tables of functions. Every step, character
 * and level of nesting is counted. They have no access to files or to Java objects.
 */
package org.threegate.rl.template;
