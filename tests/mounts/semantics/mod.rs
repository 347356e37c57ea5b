//! What other mounts of the service get wrong, or do not have, is right here.

mod attributes;
mod content;
mod locks;
mod names;
mod new_names;
