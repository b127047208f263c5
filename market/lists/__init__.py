"""Lists (清单): revisions of items from draft to publication and withdrawal, and what institutions take up."""
