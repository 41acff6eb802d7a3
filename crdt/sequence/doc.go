// Package sequence is about space: what lists and texts have in common.
//
//	Sequence  the ops of one list or text, and the merging of concurrent ones; and ranges, stretches of it that others
//	          edit, such as marked text
//	Rope      the content of a text, as UTF-8
//	Elements  the content of a list, as the local versions of its elements
//
// An op says what its author did to the sequence the author saw: insert n at pos,
// delete n at pos, move an element to pos. A Sequence turns it into edits of the merged sequence, which
// its owner plays on a Rope or on Elements. As long as nothing is concurrent that is
// the op itself, for the price of appending to a log. Where branches meet,
// the event graph walker replays the ops since the last version that everybody
// shared on a temporary tree that orders elements as FugueMax does, and throws the
// tree away once so much came after it that another would cost no more.
//
// What it costs: an op that saw everything extends a run of the log, or starts one. A log at rest, and all but the
// end of a long one, is packed into about 3 bytes a run. On the tree an op costs a search, and going from one author's version
// to another's as much as there are spans that the two differ in: the steps of the ops lead to these without a
// search, and a leaf hands all changes of its width up at once, when somebody looks for a place far from the last one. Where many insert at one place an index
// of siblings spares looking at each. How far there is to go depends on the order in which ops come,
// which is causal.Order's to choose.
//
// The order, said directly: an element is a right child of the element to its left, as its
// author saw them, or, if that had right children in the author's version already, a left child of
// the next element, deleted or not. Siblings stand in the order of their dots. So runs
// that are typed concurrently at one place do not interleave. A move stands in that order like an insertion: it makes
// a slot, and an element shows at the slot of its latest move.
//
// The package is pure, works in local versions and depends on nothing but the causal graph.
//
// Sources: Gentle and Kleppmann, "Collaborative Text Editing with Eg-walker: Better,
// Faster, Smaller" (EuroSys 2025); Weidner and Kleppmann, "The Art of the Fugue" (IEEE TPDS
// 2025), whose FugueMax order is also that of YjsMod in Gentle's reference implementations.
package sequence
