"""What a notebook shows of an object: facts beside small pictures, as HTML without a plotting library."""
