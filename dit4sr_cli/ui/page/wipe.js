// Before on the left, after on the right, and a line between them: by mouse, touch and arrow keys.
export default {
  props: {before: String, after: String, width: Number, height: Number, name: String},
  data: () => ({at: 50, actual: false}),
  template: `
    <div class="wipe" :class="{actual}">
      <div class="stage" :style="frame">
        <img :src="before" alt=""><img :src="after" alt=""><i></i>
        <span>Before</span><span>After</span>
        <input type="range" min="0" max="100" step="any" v-model.number="at"
          :aria-label="'How much of ' + name + ' is shown as it was before, in percent'">
      </div>
      <button v-if="hasPixels" type="button" :aria-pressed="actual" @click="actual = !actual">
        {{ actual ? 'Fit' : '1:1' }}</button>
    </div>`,
  computed: {
    // Larger ones are sent reduced; small ones fit as they are.
    hasPixels() { return this.width > 640 && Math.max(this.width, this.height) <= 2048; },
    frame() {
      const width = this.actual ? `${this.width / devicePixelRatio}px`
        : `min(${2 * this.width}px, 66dvh * ${this.width / this.height})`;
      return {aspectRatio: `${this.width} / ${this.height}`, width, '--at': `${this.at}%`};
    },
  },
};
