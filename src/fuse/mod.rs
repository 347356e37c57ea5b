//! fuser behind one door: mounting, one-line callbacks, errno, the notifier thread.
