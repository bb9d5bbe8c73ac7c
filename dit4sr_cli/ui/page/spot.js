// A photograph with a frame on it, put where one clicks or moved by arrow keys.
export default {
  props: {
    source: String, width: Number, height: Number, name: String,
    x: Number, y: Number, w: Number, h: Number,
  },
  template: `
    <div class="spot" tabindex="0" role="group" :style="stage" @click="click" @keydown="press"
      :aria-label="'The part of ' + name + ' to try; arrow keys move it'">
      <img :src="source" alt=""><i :style="frame"></i>
    </div>`,
  computed: {
    stage() {
      return {
        aspectRatio: `${this.width} / ${this.height}`,
        width: `min(${2 * this.width}px, 66dvh * ${this.width / this.height})`,
      };
    },
    frame() {
      const percent = (share) => `${100 * share}%`;
      const start = (middle, side) => percent(Math.min(1 - side, Math.max(0, middle - side / 2)));
      return {
        left: start(this.x, this.w), top: start(this.y, this.h),
        width: percent(this.w), height: percent(this.h),
      };
    },
  },
  methods: {
    click(event) {
      const box = event.currentTarget.getBoundingClientRect();
      this.move((event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height);
    },
    press(event) {
      const way = {
        ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1],
      }[event.key];
      if (!way) return;
      event.preventDefault();
      this.move(this.x + way[0] * this.w / 2, this.y + way[1] * this.h / 2);
    },
    move(x, y) {
      const held = (middle, side) => Math.min(1 - side / 2, Math.max(side / 2, middle));
      this.$emit('move', [held(x, this.w), held(y, this.h)]);
    },
  },
};
